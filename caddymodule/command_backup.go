package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func (c *command) backup() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "backup <file>",
		Short: "Copies the whole store of the running server to a file",
		Long: `Copies the whole store, as it is at this moment, to a file: the subscribers of
all sites, the messages, and the VAPID keys. The server goes on working. The
copy is checked, and is there whole or not at all. 'restore' brings it back.

The file holds private keys and is readable by its owner only.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.runBackup(cmd.Context(), args[0], force) },
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Replace the file if it is there already")
	return cmd
}

func (c *command) runBackup(ctx context.Context, file string, force bool) error {
	var got received
	var sum storeSummary
	err := writeFile(file, force, func(w io.Writer, temp string) (err error) {
		if got, err = c.download("/backup", nil, w, 0); err != nil {
			return err
		}
		if sum, err = inspectBolt(ctx, temp); err != nil {
			return fmt.Errorf("the copy is not whole, so it was thrown away: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.printValue(struct {
		File  string `json:"file"`
		Bytes int64  `json:"bytes"`
		storeSummary
	}{file, got.bytes, sum}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, checked: %s. Keep it safe: it holds private keys.\n", file, megabytes(got.bytes), sum)
		return err
	})
}

func (c *command) compact() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Erases what was removed from the store, and makes its file small",
		Long: `Writes the store of the running server anew without what was removed from it:
subscribers that have left are then nowhere in the file any more. Pages are
served meanwhile; subscriptions and messages wait.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var size struct{ Before, After int64 }
			raw, err := c.call(http.MethodPost, "/compact", nil, nil, &size)
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "The store was %s and is %s now.\n", megabytes(size.Before), megabytes(size.After))
				return err
			})
		},
	}
}

func (c *command) restore() *cobra.Command {
	var force bool
	var storage string
	cmd := &cobra.Command{
		Use:   "restore <file>",
		Short: "Puts a backup in the place of the store; Caddy must not be running",
		Long: `Checks a backup and puts it in the place of the bbolt store that the Caddyfile
(--config) names, or of the default one, or of --storage. Stop Caddy first: a
store that is in use is left alone. A store that is there already is replaced
only with --force, and kept beside under another name.

Messages that were under way when the backup was made go on from there at the
next start: who got one since then gets it again. Cancel or pause them if that
matters: they are listed.`,
		Example: `  caddy webpush restore webpush.backup --config /etc/caddy/Caddyfile`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := c.storagePath(storage)
			if err != nil {
				return err
			}
			return c.runRestore(cmd.Context(), args[0], target, force)
		},
	}
	cmd.Flags().StringVar(&storage, "storage", "", "Path of the store's file, instead of the configured one")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Replace a store that is there already")
	return cmd
}

// storagePath is where the configuration says that the store is.
func (c *command) storagePath(given string) (string, error) {
	b := &BoltStorage{Path: given}
	if given == "" {
		raw, _, _, err := caddycmd.LoadConfig(c.config, c.adapter)
		if err != nil {
			return "", fmt.Errorf("reading the configuration: %w", err)
		}
		var config struct {
			Apps struct {
				Webpush struct {
					Storage struct {
						Module string `json:"module"`
						Path   string `json:"path"`
					} `json:"storage"`
				} `json:"webpush"`
			} `json:"apps"`
		}
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &config); err != nil {
				return "", fmt.Errorf("reading the configuration: %w", err)
			}
		}
		storage := config.Apps.Webpush.Storage
		if storage.Module != "" && storage.Module != "bbolt" {
			return "", fmt.Errorf("the storage is %s, which restore knows nothing of: use its own means", storage.Module)
		}
		b.Path = storage.Path
	}
	if err := b.Provision(caddy.Context{}); err != nil {
		return "", err
	}
	return b.path, nil
}

func (c *command) runRestore(ctx context.Context, file, target string, force bool) error {
	source, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening the backup: %w", err)
	}
	defer source.Close()
	if a, err := source.Stat(); err == nil {
		if b, err := os.Stat(target); err == nil && os.SameFile(a, b) {
			return errors.New("the backup is the store itself")
		}
	}
	unlock, present, err := lockBolt(target)
	if err != nil {
		return err
	}
	defer unlock()
	if present && !force {
		return fmt.Errorf("%s is there already; --force replaces it, and keeps it under another name", target)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("making the store's folder: %w", err)
	}
	kept := ""
	var sum storeSummary
	err = writeFile(target, true, func(w io.Writer, temp string) (err error) {
		if _, err := io.Copy(w, source); err != nil {
			return fmt.Errorf("copying the backup: %w", err)
		}
		if sum, err = inspectBolt(ctx, temp); err != nil {
			return fmt.Errorf("the backup can't be used, so nothing was changed: %w", err)
		}
		if present {
			kept = target + ".replaced-" + timestamp(time.Now())
			return setAside(target, kept)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.printValue(struct {
		Restored string `json:"restored"`
		Kept     string `json:"kept,omitempty"`
		storeSummary
	}{target, kept, sum}, func(w io.Writer) error {
		fmt.Fprintf(w, "%s is restored: %s.\n", target, sum)
		if kept != "" {
			fmt.Fprintf(w, "What was there is kept as %s.\n", kept)
		}
		_, err := fmt.Fprintln(w, "Start Caddy now.")
		return err
	})
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
