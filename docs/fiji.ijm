// Fiji (ImageJ macro): open an image with the objects that `unetseg predict --write roi` found in it.
// Drag this file into Fiji and press Run; choose the image, then the folder of predictions.
// After correcting the ROIs: "More > Save..." in the ROI Manager, under the same name.

image = File.openDialog("The image");
folder = getDirectory("The folder of predictions (--out)");

open(image);
name = File.getNameWithoutExtension(image);
rois = folder + name + ".roi.zip";
if (!File.exists(rois))
    exit(rois + " does not exist: the image has no objects, or is a stack, whose planes have " + name + "_0000.roi.zip and so on, or predict with --write roi and choose the folder of its results.");

roiManager("reset");
roiManager("open", rois);
roiManager("show all with labels");
print(name + ": " + roiManager("count") + " objects");
