"""Pure signal functions: resampling, levels, fades."""
