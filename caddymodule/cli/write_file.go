package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// writeFile writes a file as a whole or not at all: write fills a temporary file beside it,
// and may read that under its name; then the file is synced and renamed. Only its owner
// can read it. If replace is false, an existing file is an error.
func writeFile(name string, replace bool, write func(w io.Writer, temp string) error) (err error) {
	if _, err := os.Lstat(name); err == nil && !replace {
		return fmt.Errorf("%s exists already; --force replaces it", name)
	}
	temp, err := createBeside(name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
			_ = os.Remove(temp.Name())
		}
	}()
	if err := write(temp, temp.Name()); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := temp.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(temp.Name(), name); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return syncFolder(name)
}

// createBeside makes a file that only we can read, in the folder of another.
func createBeside(name string) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the folder %s does not exist", filepath.Dir(name))
	}
	if err != nil {
		return nil, fmt.Errorf("making a file beside %s: %w", name, err)
	}
	return f, nil
}

// syncFolder makes a rename durable. On Windows this is neither possible nor needed.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("syncing the folder of %s: %w", name, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("syncing the folder of %s: %w", name, err)
	}
	return nil
}
