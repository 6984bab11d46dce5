"""What the tests share, apart from fixtures: paths, drawn images and data sets, the command, a folder of everything."""
