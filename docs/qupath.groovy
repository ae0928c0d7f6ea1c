// QuPath: add the objects that `unetseg predict --write geojson` found to the image that is open.
// Automate > Script editor, open this file, Run; choose the folder of predictions when asked.
// After correcting the objects: File > Export objects as GeoJSON, under the same name.

import qupath.fx.dialogs.FileChoosers
import qupath.lib.io.PathIO

def folder = FileChoosers.promptForDirectory("The folder of predictions (--out)", null)
if (folder == null)
    return

def image = new File(getCurrentServer().getURIs()[0]).getName()
def stem = image.contains(".") ? image.substring(0, image.lastIndexOf(".")) : image
def file = new File(folder, stem + ".geojson")
if (!file.exists()) {
    println file.toString() + " does not exist. Predict with --write geojson, and choose the folder that holds the image's results."
    return
}

def objects = PathIO.readObjects(file.toPath())
addObjects(objects)
fireHierarchyUpdate()
println image + ": " + objects.size() + " objects"
