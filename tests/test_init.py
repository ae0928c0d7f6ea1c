import subprocess
import sys


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, unetseg; print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
