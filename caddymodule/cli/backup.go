package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore"
)

func (c *command) backup() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "backup <file>",
		Short: "Copies the whole store of the running server to a file",
		Long: `Copies the whole store, as it is at this moment, to a file: the subscribers of
all sites, the messages, and the VAPID keys. The server continues to work. The
command checks the copy, and writes it as a whole or not at all. 'restore' puts it
back. With "-" the copy is written to standard output and is not checked.

The file contains private keys. Only its owner can read it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "-" {
				return c.runBackup(cmd.Context(), args[0], force)
			}
			if isTerminal(os.Stdout) {
				return errors.New("standard output is a terminal: name a file, or pipe the output to a program")
			}
			_, err := c.downloadBackup(cmd.Context(), os.Stdout)
			return err
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Replace the file if it exists")
	return cmd
}

func (c *command) downloadBackup(ctx context.Context, w io.Writer) (received, error) {
	answer, err := c.client(nil).Backup(ctx)
	if err != nil {
		return received{}, err
	}
	return download(answer, w, 0)
}

func (c *command) runBackup(ctx context.Context, file string, force bool) error {
	var got received
	var checked boltstore.Checked
	err := writeFile(file, force, func(w io.Writer, temp string) (err error) {
		if got, err = c.downloadBackup(ctx, w); err != nil {
			return err
		}
		if checked, err = boltstore.CheckFile(ctx, temp); err != nil {
			return fmt.Errorf("the copy is not whole, so it was thrown away: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	sum := summary(checked)
	if err := c.printValue(struct {
		File  string `json:"file"`
		Bytes int64  `json:"bytes"`
		storeSummary
	}{file, got.bytes, sum}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, read through: %s. Keep it safe: it contains private keys.\n", file, megabytes(got.bytes), sum)
		return err
	}); err != nil {
		return err
	}
	return damage(checked)
}

// storeSummary counts the contents of a store.
type storeSummary struct {
	Sites         int `json:"sites"`
	Subscriptions int `json:"subscriptions"`
	Messages      int `json:"messages"`
	Keys          int `json:"keys"`
	Damaged       int `json:"damaged"`
}

func summary(c boltstore.Checked) storeSummary {
	return storeSummary{c.Sites, c.Subscriptions, c.Messages, c.Keys, c.Damaged}
}

func (s storeSummary) String() string {
	return fmt.Sprintf("%s of %s, %s, %s", plural(int64(s.Subscriptions), "subscriber"), plural(int64(s.Sites), "site"),
		plural(int64(s.Messages), "message"), plural(int64(s.Keys), "key"))
}

// damage returns an error if a store has rows that can't be read.
func damage(c boltstore.Checked) error {
	if c.Damaged == 0 {
		return nil
	}
	return fmt.Errorf("%s of the store can no longer be read, and were copied unchanged: %w", plural(int64(c.Damaged), "part"), errors.Join(c.Damage...))
}

func (c *command) compact() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Erases removed data from the store's file, and makes the file small",
		Long: `Rewrites the store of the running server without removed data: the file then no
longer contains subscribers who have left. Meanwhile the server serves pages, and
subscriptions and messages wait.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var raw []byte
			size, err := c.client(&raw).Compact(cmd.Context())
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

// restoreFlags are what restore may do.
type restoreFlags struct {
	storage             string
	force, damaged, yes bool
}

func (c *command) restore() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore <file>",
		Short: "Puts a backup in the place of the store; Caddy must not be running",
		Long: `Checks a backup and puts it in the place of a bbolt store: the file that --storage
names, or that the storage option of the configuration (--config) names. The command
prints which file that is and how it was chosen before it writes.

If neither names a file, the store is in the data directory of the user who runs the
command. Caddy's own may be another one, so the command asks for --yes. It does the same
if --config is not given, or names a path that depends on the folder or environment.

Stop Caddy first: a store that is in use is left alone. A store that is there already
is replaced only with --force, and kept beside under another name. A backup that has
damaged parts changes nothing, unless --damaged says that it is the best there is.

Run it as the user that Caddy runs as: the store must belong to that user.

Messages that had not ended when the backup was made are held: the backup does not
know which subscribers got them since. 'messages resume' sends one, also to those;
'messages cancel' ends it. The answer lists them.`,
		Example: `  sudo -u caddy caddy webpush restore webpush.backup --storage /var/lib/caddy-webpush/caddy/webpush/webpush.db --force`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := c.chooseStore(f.storage)
			if err != nil {
				return err
			}
			return c.runRestore(cmd.Context(), args[0], target, f)
		},
	}
	cmd.Flags().StringVar(&f.storage, "storage", "", "Path of the store's file, instead of the configured one")
	cmd.Flags().BoolVarP(&f.force, "force", "f", false, "Replace a store that is there already")
	cmd.Flags().BoolVar(&f.damaged, "damaged", false, "Restore a backup although parts of it can't be read")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "Restore although neither --storage nor --config names a file")
	return cmd
}

// chosenStore is the file that a backup is restored to.
type chosenStore struct {
	path, why string
	// named is true if the operator named the file, or the configuration that names it.
	named bool
}

// chooseStore picks the file: --storage, or what the configuration names, or the user's default.
func (c *command) chooseStore(storage string) (chosenStore, error) {
	if storage != "" {
		path, err := c.storeFile(storage)
		return chosenStore{path, "which --storage names", true}, err
	}
	raw, file, _, err := caddycmd.LoadConfig(c.config, c.adapter)
	if err != nil {
		return chosenStore{}, fmt.Errorf("reading the configuration: %w", err)
	}
	if storage, err = configuredPath(raw); err != nil {
		return chosenStore{}, err
	}
	path, err := c.storeFile(storage)
	chosen := chosenStore{path: path, named: c.config != "" && filepath.IsAbs(storage)}
	configuration := file
	if c.config == "" && file != "" {
		configuration = file + " of the current folder"
	}
	switch {
	case filepath.IsAbs(storage):
		chosen.why = "which " + configuration + " names"
	case storage != "":
		chosen.why = fmt.Sprintf("which %s names as %s: Caddy's own folder or environment may differ", configuration, storage)
	case file != "":
		chosen.why = fmt.Sprintf("the default of %s, because %s names no storage path", userName(), configuration)
	default:
		chosen.why = fmt.Sprintf("the default of %s, because neither --storage nor --config is given", userName())
	}
	return chosen, err
}

// configuredPath returns the path of the bbolt store in a configuration; "" if it names none.
func configuredPath(raw []byte) (string, error) {
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
	return storage.Path, nil
}

// userName is the user whose data directory is the default.
func userName() string {
	if u, err := user.Current(); err == nil {
		return "user " + u.Username
	}
	return "this user"
}

// checkTarget returns why a backup must not be restored to the store's file.
func checkTarget(file string, store chosenStore, f restoreFlags) error {
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("looking for the backup: %w", err)
	}
	if !store.named && !f.yes {
		return fmt.Errorf("nothing was restored: the store would be %s, %s. Caddy's store may be another one: name its file with --storage, or confirm this one with --yes", store.path, store.why)
	}
	present, err := os.Stat(store.path)
	switch {
	case err == nil && os.SameFile(info, present):
		return errors.New("the backup is the store itself")
	case err == nil && !f.force:
		// What comes first, first: with --force the next answer would be this.
		if err := boltstore.CheckUnused(store.path); err != nil {
			return err
		}
		return fmt.Errorf("%s is there already; --force replaces it, and keeps it beside under another name", store.path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for the store: %w", err)
	}
	return nil
}

func (c *command) runRestore(ctx context.Context, file string, store chosenStore, f restoreFlags) error {
	if err := checkTarget(file, store, f); err != nil {
		return err
	}
	target := store.path
	fmt.Fprintf(os.Stderr, "Restoring to %s, %s.\n", printable(target), printable(store.why))
	checked, err := boltstore.Restore(ctx, file, target, f.damaged)
	if errors.Is(err, boltstore.ErrDamagedBackup) {
		return fmt.Errorf("%s of the backup can't be read, so nothing was changed; take another backup, or --damaged for the rest of this one (%s): %w",
			plural(int64(checked.Damaged), "part"), summary(checked), errors.Join(checked.Damage...))
	}
	if errors.Is(err, boltstore.ErrNoBackup) {
		return fmt.Errorf("%w. --damaged cannot help: it leaves out parts of a file that has its full length. Copy the backup again from where it was made, or take an earlier one; nothing was changed", err)
	}
	if err != nil {
		return err
	}
	kept := checked.Kept
	sum := summary(checked)
	return c.printValue(struct {
		Restored string `json:"restored"`
		Kept     string `json:"kept,omitempty"`
		storeSummary
		Held []heldMessage `json:"held,omitempty"`
	}{target, kept, sum, heldMessages(checked.Held)}, func(w io.Writer) error {
		fmt.Fprintf(w, "%s is restored: %s.\n", target, sum)
		if checked.Damaged > 0 {
			fmt.Fprintf(w, "%s can't be read: %v.\n", plural(int64(checked.Damaged), "part"), errors.Join(checked.Damage...))
		}
		if kept != "" {
			fmt.Fprintf(w, "The earlier store is kept as %s.\n", kept)
		}
		if err := c.printHeld(w, heldMessages(checked.Held)); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, "Start Caddy now.")
		return err
	})
}

// heldMessage is a held message of a restored store.
type heldMessage struct {
	Site     string     `json:"site"`
	ID       string     `json:"id"`
	Title    string     `json:"title"`
	SendAt   *time.Time `json:"sendAt,omitempty"`
	Accepted int64      `json:"accepted"`
	Open     int64      `json:"open"`
	// Expired is true if the time to live is over.
	Expired bool `json:"expired,omitempty"`
}

func heldMessages(held []pushsvc.Message) (out []heldMessage) {
	for i := range held {
		m := &held[i]
		h := heldMessage{
			Site: m.Site, ID: m.ID, Title: m.Content.Title, Accepted: m.Progress.Accepted, Open: m.Progress.Pending + m.Progress.Later,
			Expired: !m.LifeBegins().Add(time.Duration(m.Content.TTLSeconds()) * time.Second).After(time.Now()),
		}
		if !m.SendAt.IsZero() {
			h.SendAt = &m.SendAt
		}
		out = append(out, h)
	}
	return out
}

// heldShown is how many held messages the answer lists.
const heldShown = 20

func (c *command) printHeld(w io.Writer, held []heldMessage) error {
	if len(held) == 0 {
		return nil
	}
	fmt.Fprintf(w, "%s held: the backup does not know which subscribers got them since.\n", pluralIs(int64(len(held)), "message"))
	var rows [][]any
	for _, h := range held[:min(len(held), heldShown)] {
		at := "at once"
		if h.SendAt != nil {
			at = localTime(*h.SendAt)
		}
		if h.Expired {
			at += " (time to live over)"
		}
		rows = append(rows, []any{"  " + h.Site, h.ID, at, h.Accepted, h.Open, h.Title})
	}
	if err := table(w, []string{"  SITE", "ID", "SEND AT", "ACCEPTED", "TO SEND", "TITLE"}, rows); err != nil {
		return err
	}
	if more := len(held) - heldShown; more > 0 {
		fmt.Fprintf(w, "  and %d more: 'messages --site <site>' lists them\n", more)
	}
	_, err := fmt.Fprintf(w, "With Caddy running, release or end each, or with --held all of a site:\n  %[1]s messages resume --site %[2]s %[3]s\n  %[1]s messages cancel --site %[2]s %[3]s\n", c.self(), held[0].Site, held[0].ID)
	return err
}
