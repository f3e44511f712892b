"""What every room shares: types, conventions, errors, files, hooks, metrics, cameras."""
