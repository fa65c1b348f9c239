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

// writeFile writes a file whole or not at all: write writes one beside it, and
// may read that under the name it is given; then it is synced and renamed. It
// is readable by its owner only. Where replace is false, a file that is there
// already is an error.
func writeFile(name string, replace bool, write func(w io.Writer, temp string) error) (err error) {
	if _, err := os.Lstat(name); err == nil && !replace {
		return fmt.Errorf("%s is there already; --force replaces it", name)
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
		return nil, fmt.Errorf("the folder %s is not there", filepath.Dir(name))
	}
	if err != nil {
		return nil, fmt.Errorf("making a file beside %s: %w", name, err)
	}
	return f, nil
}

// syncFolder makes a rename durable. Windows can't, and needs not.
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
