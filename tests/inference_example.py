"""What the classifier of these tests was trained on, so to say."""

CLASSES = ["rose", "tulip", "лилия", "[bold]oak", "elm"]
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]  # not timm's, so that ignoring the checkpoint's would show
PX = 32
