package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

func (c *command) keys() *cobra.Command {
	var count bool
	list := func(cmd *cobra.Command, _ []string) error { return c.listKeys(cmd.Context(), count) }
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Lists the VAPID keys, imports a pair, or makes a new one",
		Args:  cobra.NoArgs,
		RunE:  list,
	}
	listCmd := &cobra.Command{Use: "list", Short: "Lists the VAPID keys, the current one first", Args: cobra.NoArgs, RunE: list}
	for _, cmd := range []*cobra.Command{cmd, listCmd} {
		cmd.Flags().BoolVar(&count, "count", false, "Count the subscribers of each key; reads them all")
	}
	cmd.AddCommand(listCmd, c.importKey(), c.rotateKey())
	return cmd
}

func (c *command) listKeys(ctx context.Context, count bool) error {
	var raw []byte
	list, err := c.client(&raw).ListKeys(ctx, count)
	if err != nil {
		return err
	}
	return c.print(raw, func(w io.Writer) error {
		columns := []string{"ID", "CREATED", "CURRENT", "PUBLIC KEY"}
		if count {
			columns = slices.Insert(columns, 3, "SUBSCRIBERS")
		}
		var rows [][]any
		for _, k := range list.Keys {
			current := ""
			if k.Current {
				current = "yes"
			}
			row := []any{k.ID, k.Created, current, k.PublicKey}
			if k.Subscriptions != nil {
				row = slices.Insert(row, 3, any(*k.Subscriptions))
			}
			rows = append(rows, row)
		}
		return table(w, columns, rows)
	})
}

func (c *command) importKey() *cobra.Command {
	var public, file string
	var keep bool
	cmd := &cobra.Command{
		Use:   "import [--public <key>] [--private-file <file>]",
		Short: "Imports a VAPID key pair and makes it the current one",
		Long: `Imports a VAPID key pair and makes it the current one, unless --keep-current is
set. New subscriptions of all sites use the current key. A browser with another key
changes to the current one at its next visit; until then, messages to it are signed
with the other key.

The private key is read from --private-file, or from standard input, so that it
appears in no process list and no shell history. It may be base64url, base64 or hex,
PEM or DER (SEC 1 or PKCS #8), a JWK, or JSON with publicKey and privateKey.
--public checks that the pair is the expected one; without it any private key is
accepted.`,
		Example: `  caddy webpush keys import --public BNc… --private-file vapid.key
  caddy webpush keys import --private-file vapid-keys.json
  printf %s "$VAPID_PRIVATE_KEY" | caddy webpush keys import --public BNc…`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pair, err := readPair(public, file)
			if err != nil {
				return err
			}
			var raw []byte
			key, err := putInRing(cmd.Context(), c.client(&raw), pair, !keep)
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error { return c.printCurrent(cmd.Context(), w, key) })
		},
	}
	cmd.Flags().StringVar(&public, "public", "", "The public key that the pair must have, such as 87 characters of base64url")
	cmd.Flags().StringVar(&file, "private-file", "", "File with the private key, or with the pair")
	cmd.Flags().BoolVar(&keep, "keep-current", false, "Only add the pair to the ring")
	return cmd
}

// maxKeyFile limits the size of a file with a key.
const maxKeyFile = 64 << 10

// readPair reads the pair whose private half is in the file, or comes from
// standard input if no file is named.
func readPair(public, file string) (*webpush.KeyPair, error) {
	in, name := os.Stdin, "standard input"
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("opening the private key: %w", err)
		}
		defer f.Close()
		in, name = f, file
	} else if isTerminal(os.Stdin) {
		fmt.Fprintln(os.Stderr, "Paste the private key and press Enter, then Ctrl-D:")
	}
	private, err := io.ReadAll(io.LimitReader(in, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("reading the private key: %w", err)
	}
	pair, err := webpush.ReadKeyPair(public, private)
	if err != nil {
		return nil, fmt.Errorf("reading the VAPID key pair of %s: the %w", name, err)
	}
	return pair, nil
}

// putInRing imports the pair.
func putInRing(ctx context.Context, client *api.Client, pair *webpush.KeyPair, current bool) (api.Key, error) {
	private, err := pair.RevealPrivateKey()
	if err != nil {
		return api.Key{}, err
	}
	return client.ImportKey(ctx, api.ImportKeyRequest{PublicKey: pair.PublicKey(), PrivateKey: private, Current: &current})
}

// printCurrent prints whether a key is the current one now, and the ring.
func (c *command) printCurrent(ctx context.Context, w io.Writer, key api.Key) error {
	is := "is the current one now"
	if !key.Current {
		is = "is in the ring"
	}
	if _, err := fmt.Fprintf(w, "Key %s %s.\n", key.ID, is); err != nil {
		return err
	}
	return c.listKeys(ctx, false)
}

func (c *command) rotateKey() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Makes a new VAPID key pair, which becomes the current one",
		Long: `Makes a new VAPID key pair and makes it the current one: new subscriptions use it.
The earlier pairs stay in the ring. They sign for the subscriptions that were made
with them, until each browser subscribes again at its next visit.
'caddy webpush keys --count' shows the number of subscriptions of each key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var raw []byte
			key, err := c.client(&raw).RotateKey(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(raw, func(w io.Writer) error { return c.printCurrent(cmd.Context(), w, key) })
		},
	}
}
