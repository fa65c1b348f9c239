package caddymodule

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
)

func (c *command) export(site *string) *cobra.Command {
	return &cobra.Command{
		Use:   "export --site <site> [<file>]",
		Short: "Writes all subscribers of a site, with their keys, to a file",
		Long: `Writes all subscribers of a site to a file, or to standard output where none or
"-" is named: one JSON object a line, each a browser's PushSubscription with a
few members more. Most web push software can read it, and so can import.

The file holds secrets: with it and the VAPID keys anybody can send to your
subscribers. It is readable by its owner only.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "-" {
				_, err := c.download(sitePath(*site, "/subscriptions"), ndjsonHeader, os.Stdout, 0)
				return err
			}
			return c.exportFile(*site, args[0])
		},
	}
}

var ndjsonHeader = http.Header{"Accept": {"application/x-ndjson"}}

func (c *command) exportFile(site, file string) error {
	var sum pushsvc.SiteSummary
	if _, err := c.call(http.MethodGet, sitePath(site, ""), nil, nil, &sum); err != nil {
		return err
	}
	var got received
	err := writeFile(file, true, func(w io.Writer, _ string) (err error) {
		got, err = c.download(sitePath(site, "/subscriptions"), ndjsonHeader, w, sum.Subscriptions)
		return err
	})
	if err != nil {
		return err
	}
	return c.printValue(struct {
		File        string `json:"file"`
		Subscribers int64  `json:"subscribers"`
		Bytes       int64  `json:"bytes"`
	}{file, got.lines, got.bytes}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s of %s, %s, are in %s. Keep it safe: it holds their keys.\n", plural(got.lines, "subscriber"), site, megabytes(got.bytes), file)
		return err
	})
}

// received is what came from the server.
type received struct{ bytes, lines int64 }

// download copies an answer to w and shows how far it is: in lines, where it
// is known how many are to come.
func (c *command) download(path string, header http.Header, w io.Writer, lines int64) (got received, err error) {
	resp, err := c.open(http.MethodGet, path, header, nil)
	if err != nil {
		return got, err
	}
	defer resp.Body.Close()
	show := newProgress()
	defer show.abandon()
	text := func() string {
		elapsed := show.clock().Sub(show.started)
		if lines > 0 {
			return bar(got.lines, lines) + fmt.Sprintf("  %d/%d", got.lines, lines) + speed(got.lines, lines, elapsed)
		}
		return megabytes(got.bytes)
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(buf)
		got.bytes += int64(n)
		got.lines += int64(bytes.Count(buf[:n], []byte("\n")))
		if _, err := w.Write(buf[:n]); err != nil {
			return got, fmt.Errorf("writing: %w", err)
		}
		switch {
		case errors.Is(err, io.EOF):
			if show.terminal || show.text != "" {
				show.finish(text())
			}
			return got, nil
		case err != nil:
			return got, fmt.Errorf("the server broke off; its log says why: %w", err)
		}
		show.show(text())
	}
}

// importFlags says how to read a file of subscribers.
type importFlags struct {
	format, key            string
	vapidPublic, vapidFile string
	dryRun                 bool
}

func (c *command) importSubscribers(site *string) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --site <site> <file>",
		Short: "Reads subscribers from a file: our own export, or other push software's",
		Long: `Reads subscribers from a file, or from standard input where "-" is named. It may
be our own export; PushSubscriptions as JSON, one a line or in a list; a table
(CSV) with the columns endpoint, p256dh and auth; OneSignal's export; or records
of Firebase's client with the subscription in them. Files packed with gzip are
unpacked.

A subscription can only be sent to with the VAPID key pair that it was made
with. Where the file does not name it, give --key; where it is not in the key
ring yet, give --vapid-public and --vapid-private-file, or use 'keys import'.

Each row is checked as a browser's subscription is. One that can't be used is
told with its line and costs nothing else; importing a file again is harmless.
The exit status is 1 where no row could be used.`,
		Example: `  caddy webpush subscribers import --site shop.example.com subscribers.ndjson
  caddy webpush subscribers import --site shop.example.com players.csv.gz --vapid-public BNc… --vapid-private-file onesignal.key
  caddy webpush subscribers import --site shop.example.com list.json --key current --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.runImport(*site, args[0], f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "auto", "auto, web-push, onesignal, firebase or csv")
	fl.StringVar(&f.key, "key", "", `VAPID key of rows that name none: an id of 'caddy webpush keys', a public key, or "current"`)
	fl.StringVar(&f.vapidPublic, "vapid-public", "", "Import this VAPID key pair first, and use it for rows that name none")
	fl.StringVar(&f.vapidFile, "vapid-private-file", "", "File with the private key of --vapid-public")
	fl.BoolVar(&f.dryRun, "dry-run", false, "Check the file, but store nothing")
	cmd.MarkFlagsRequiredTogether("vapid-public", "vapid-private-file")
	cmd.MarkFlagsMutuallyExclusive("vapid-public", "key")
	cmd.MarkFlagsMutuallyExclusive("vapid-public", "dry-run")
	return cmd
}

func (c *command) runImport(site, file string, f importFlags) error {
	in, err := openImport(file)
	if err != nil {
		return err
	}
	defer in.close()
	defer in.show.abandon()
	if f.vapidPublic != "" {
		key, _, err := c.postKey(f.vapidPublic, f.vapidFile)
		if err != nil {
			return err
		}
		f.key = key.ID
		fmt.Fprintf(os.Stderr, "Key %s is in the ring, and the current one now.\n", key.ID)
	}
	query := url.Values{"format": {f.format}, "key": {f.key}, "dry_run": {strconv.FormatBool(f.dryRun)}}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	resp, err := c.open(http.MethodPost, sitePath(site, "/subscriptions?"+query.Encode()), header, in)
	if err != nil {
		return err
	}
	var result service.Imported
	raw, err := readAnswer(resp, &result)
	if err != nil {
		return err
	}
	in.finish()
	if err := c.print(raw, func(w io.Writer) error { return printImported(w, site, result) }); err != nil {
		return err
	}
	if result.Rows > 0 && result.Added+result.Known == 0 {
		return errors.New("no row of the file could be used")
	}
	return nil
}

// importFile is a file on its way to the server. It shows how far it is.
type importFile struct {
	file   *os.File
	in     io.Reader // unpacked
	show   *progress
	size   int64 // 0 where unknown
	packed int64 // bytes read of the file
	rows   int64
}

func openImport(name string) (*importFile, error) {
	i := &importFile{file: os.Stdin, show: newProgress()}
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("opening the subscribers: %w", err)
		}
		i.file = file
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			i.size = info.Size()
		}
	}
	buffered := bufio.NewReaderSize(readerFunc(i.readPacked), 64<<10)
	i.in = buffered
	if head, _ := buffered.Peek(2); bytes.Equal(head, []byte("\x1f\x8b")) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			i.close()
			return nil, fmt.Errorf("unpacking the subscribers: %w", err)
		}
		i.in = unpacked
	}
	return i, nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (i *importFile) readPacked(p []byte) (int, error) {
	n, err := i.file.Read(p)
	i.packed += int64(n)
	return n, err
}

// Read implements io.Reader: it is as fast as the server takes it.
func (i *importFile) Read(p []byte) (int, error) {
	n, err := i.in.Read(p)
	i.rows += int64(bytes.Count(p[:n], []byte("\n")))
	i.show.show(i.text())
	return n, err
}

func (i *importFile) text() string {
	return transferProgress(i.packed, i.size, i.rows, i.show.clock().Sub(i.show.started))
}

func (i *importFile) finish() {
	if i.show.terminal || i.show.text != "" {
		i.show.finish(i.text())
	}
}

func (i *importFile) close() { _ = i.file.Close() }

func printImported(w io.Writer, site string, r service.Imported) error {
	if r.DryRun {
		fmt.Fprintln(w, "Nothing was stored.")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "rows\t%d\t(%s)\n", r.Rows, r.Format)
	for _, line := range []struct {
		name string
		n    int64
		note string
	}{
		{"added", r.Added, "to " + site},
		{"known", r.Known, "were there before"},
		{"conflicting", r.Conflicting, "known with other keys, left as they were"},
		{"skipped", r.Skipped, "unsubscribed, or no web push"},
		{"refused", r.Refused, "can't be sent to"},
	} {
		note := ""
		if line.n > 0 {
			note = line.note
		}
		fmt.Fprintf(t, "  %s\t%d\t%s\n", line.name, line.n, note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, fault := range r.Faults {
		field := fault.Field
		if field != "" {
			field += " "
		}
		fmt.Fprintf(w, "line %d: %s%s\n", fault.Line, printable(field), printable(fault.Reason))
	}
	if more := r.Refused - int64(len(r.Faults)); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	return nil
}
