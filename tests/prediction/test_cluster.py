"""Prediction on a Dask cluster gives, byte for byte, the files of a single process."""

import gc
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import zarr
from distributed import Client, LocalCluster
from moto.server import ThreadedMotoServer
from spots import MODEL, spots

from unetseg.cli import main
from unetseg.images.inputs import find_inputs
from unetseg.model.file import save_model
from unetseg.prediction import cluster as on_cluster
from unetseg.prediction.cluster import Job, predict_on
from unetseg.prediction.folder import FilePredictor
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.results import Results
from unetseg.prediction.settings import Settings, Tuning
from unetseg.prediction.zoom import Zooming

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Dask's threads warn as they end

FITTED = [(40, 50), (33, 64)]
IN_TILES = (300, 200)


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """A server of S3 in this process, known to the workers, too."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    known = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("of_workers"))
        for name, value in {**known, "AWS_DEFAULT_REGION": "us-east-1", "TMPDIR": folder}.items():
            patch.setenv(name, value)
        yield
    server.stop()


@pytest.fixture(scope="module")
def client(storage):  # noqa: ARG001 - the workers have to know it
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(Path("m.keras"), MODEL, {})
    Path("images").mkdir()


def write_images(count):
    for number in range(count):
        cv2.imwrite(f"images/{number:02}.png", spots(*FITTED[number % 2]))


def predict(out, *words):
    return main(["predict", "--model", "m.keras", "--write", "labels,geojson,coco", "--out", out, *words])


def content(out):
    """All files of a folder, but for the lock and what a killed process has left, which the next one removes."""
    files = {path.relative_to(out).as_posix(): path for path in Path(out).rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if path.name != "lock" and ".partial/" not in name}


def test_a_cluster_writes_the_files_of_one_process(client, capsys):
    write_images(20)
    cv2.imwrite("images/09.png", spots(*IN_TILES))
    Path("images/05.png").write_text("no image")
    assert predict("one", "images") == 1
    assert predict("two", "--dask", client.scheduler.address, "images") == 1
    assert content("two") == content("one")
    assert len(content("one")) == 100
    told = capsys.readouterr().err
    assert told.count("images/05.png: ") == 2
    assert "predict: 20 images in " in told


def test_a_worker_that_is_killed_loses_nothing(client):
    write_images(40)
    assert predict("one", "images") == 0

    def kill():
        while not list(Path("two").glob("*.png")):
            time.sleep(0.01)
        os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    assert predict("two", "--dask", client.scheduler.address, "images") == 0
    killer.join()
    assert content("two") == content("one")


def test_a_prediction_that_is_stopped_says_nothing_later_and_leaves_no_copy_of_the_model(client, monkeypatch):
    write_images(20)
    sources, tuning = find_inputs(["images"], Path("out")).images, Tuning()
    job = Job(Path("out").absolute(), Settings(), (), tuning, "m.keras", Path("m.keras").read_bytes())
    said = []
    monkeypatch.setattr("sys.unraisablehook", said.append)

    def stop():
        with Client(client.scheduler.address) as own:
            outcomes = predict_on(own, job, sources, Results(job.out, Settings(), (), Path("m.keras"), tuning))
            next(outcomes)
            outcomes.throw(KeyboardInterrupt)

    with pytest.raises(KeyboardInterrupt):
        stop()
    gc.collect()
    assert not said
    (folder,) = {*client.run(tempfile.gettempdir).values()}
    for _ in range(600):  # a worker may be about to load it
        if not (left := [*Path(folder).rglob("m.keras")]):
            break
        time.sleep(0.1)
    assert not left


def test_inputs_and_results_may_be_on_s3(client, capsys):
    import s3fs

    s3 = s3fs.S3FileSystem()
    write_images(10)
    Path("images/masks").mkdir()
    cv2.imwrite("images/00_masks.png", np.zeros((40, 50), np.uint8))
    tifffile.imwrite("images/stack.tif", np.stack([spots(40, 50)] * 2)[..., 0], photometric="minisblack")
    assert predict("one", "images") == 0
    s3.mkdir("plates")
    s3.put("images/", "plates/images/", recursive=True)
    words = ("--dask", client.scheduler.address, "s3://plates/images")
    assert predict("s3://plates/out", *words) == 0
    s3.get("plates/out/", "two/", recursive=True)
    one, two = content("one"), content("two")
    assert one.keys() == two.keys()
    same = [name for name in one if not name.startswith(".unetseg") and name != "predict.json"]
    assert all(one[name] == two[name] for name in same)
    assert one["predict.json"].replace(b"../images/", b"s3://plates/images/") == two["predict.json"]
    capsys.readouterr()
    s3.rm("plates/out/.unetseg/03.json")
    assert predict("s3://plates/out", "--resume", *words) == 0
    assert "predict: 1 images in " in capsys.readouterr().err
    s3.invalidate_cache()
    assert s3.cat("plates/out/predict.json") == two["predict.json"]


@pytest.mark.parametrize(("kind", "zoom"), [("zarr", 1.0), ("tif", 0.7)])
def test_a_large_image_is_predicted_by_all_workers_together(client, kind, zoom):
    image = np.tile(spots(40, 50), (70, 2, 1))
    if kind == "zarr":
        wide = image[..., 0].astype(np.uint16) * 9
        array = zarr.create_group("images/a.zarr").create_array("0", data=wide, chunks=(256, 64))
        multiscales = {"axes": ["y", "x"], "datasets": [{"path": array.basename}]}
        zarr.open_group("images/a.zarr").attrs["ome"] = {"multiscales": [multiscales]}
    else:
        tifffile.imwrite("images/a.tif", image, photometric="rgb", rowsperstrip=100)
    sources, settings, tuning = find_inputs(["images"], Path("one")).images, Settings(zoom=zoom), Tuning()
    kinds = ("labels", "probability", "geojson", "zarr")
    one, two = (Results(Path(out), settings, kinds, Path("m.keras"), tuning) for out in ("one", "two"))
    assert list(FilePredictor(Predictor(MODEL), Zooming(settings, tuning)).predict(sources, one)) == [None]
    job = Job(Path("two").absolute(), settings, kinds, tuning, "m.keras", Path("m.keras").read_bytes(), large=1000)
    assert list(predict_on(client, job, sources, two)) == [None]
    assert one.gather(sources) == two.gather(sources)
    assert content("two") == content("one")
    assert cv2.imread("two/a.png").any()


def test_an_unusable_address_is_told_in_one_line(capsys):
    write_images(1)
    assert predict("two", "--dask", "local:none", "images") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("--dask local:none: ")
    assert on_cluster.BATCH == 8
