"""The families of noise that `denoise` looks for, one file each."""
