package cli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/service"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/webpush"
)

// exportFlags are the options of an export.
type exportFlags struct {
	format string
	gzip   bool
	force  bool
}

func (c *command) export(site *string) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export --site <site> [<file>]",
		Short: "Writes all subscribers of a site, with their keys, to a file",
		Long: `Writes all subscribers of a site to a file, or to standard output if the file is left
out or "-". The format is one JSON object per line, each a browser's PushSubscription
with a few more members, or a table (CSV). Most web push software can read one of
them, and import reads both. A file name that ends in .csv or .gz selects the format.

The file contains secrets: with it and the VAPID keys, anyone can send to your
subscribers. Only its owner can read it.`,
		Example: `  caddy webpush subscribers export --site shop.example.com subscribers.ndjson
  caddy webpush subscribers export --site shop.example.com subscribers.csv.gz`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := append(args, "-")[0]
			if err := f.complete(name); err != nil {
				return err
			}
			if name == "-" {
				_, err := c.downloadSubscribers(cmd.Context(), *site, f, os.Stdout, 0)
				return err
			}
			return c.exportFile(cmd.Context(), *site, name, f)
		},
	}
	cmd.Flags().StringVar(&f.format, "format", "", "ndjson or csv (default: by the file's name, else ndjson)")
	cmd.Flags().BoolVar(&f.gzip, "gzip", false, "Compress the file with gzip")
	cmd.Flags().BoolVarP(&f.force, "force", "f", false, "Replace the file if it exists")
	return cmd
}

// exportMedia are the media types of the formats.
var exportMedia = map[string]string{service.ExportNDJSON: api.NDJSON, service.ExportCSV: api.CSV}

// complete sets the format and compression by the file's name.
func (f *exportFlags) complete(name string) error {
	name, packed := strings.CutSuffix(strings.ToLower(name), ".gz")
	f.gzip = f.gzip || packed
	if f.format == "" {
		f.format = service.ExportNDJSON
		if strings.HasSuffix(name, ".csv") {
			f.format = service.ExportCSV
		}
	}
	if exportMedia[f.format] == "" {
		return fmt.Errorf("--format %q is not known; write ndjson or csv", f.format)
	}
	return nil
}

// downloadSubscribers writes the export to w. rows is the expected number, 0 if it is
// not known.
func (c *command) downloadSubscribers(ctx context.Context, site string, f exportFlags, w io.Writer, rows int64) (received, error) {
	headings := int64(0)
	if f.format == service.ExportCSV {
		headings = 1
	}
	out, done := w, func() error { return nil }
	if f.gzip {
		z := gzip.NewWriter(w)
		out, done = z, z.Close
	}
	if rows > 0 {
		rows += headings
	}
	answer, err := c.client(nil).ExportSubscriptions(ctx, site, exportMedia[f.format])
	if err != nil {
		return received{}, err
	}
	got, err := download(answer, out, rows)
	if err != nil {
		return got, err
	}
	got.lines -= headings
	if err := done(); err != nil {
		return got, fmt.Errorf("packing the subscribers: %w", err)
	}
	return got, nil
}

func (c *command) exportFile(ctx context.Context, site, file string, f exportFlags) error {
	sum, err := c.client(nil).ShowSite(ctx, site)
	if err != nil {
		return err
	}
	var got received
	err = writeFile(file, f.force, func(w io.Writer, _ string) (err error) {
		got, err = c.downloadSubscribers(ctx, site, f, w, sum.Subscriptions)
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
		_, err := fmt.Fprintf(w, "Wrote %s of %s (%s) to %s. Keep it safe: it holds their keys.\n", plural(got.lines, "subscriber"), site, megabytes(got.bytes), file)
		return err
	})
}

// received counts the data from the server.
type received struct{ bytes, lines int64 }

// download copies an answer to w, closes it, and shows the progress, in lines if their
// number is known.
func download(answer io.ReadCloser, w io.Writer, lines int64) (got received, err error) {
	defer answer.Close()
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
		n, err := answer.Read(buf)
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
			return got, fmt.Errorf("the server did not finish the answer; its log has the reason: %w", err)
		}
		show.show(text())
	}
}

// importFlags are the options of an import.
type importFlags struct {
	format, key            string
	vapidPublic, vapidFile string
	makeCurrent, dryRun    bool

	pair *webpush.KeyPair // of vapidFile
}

func (c *command) importSubscribers(site *string) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --site <site> <file>",
		Short: "Reads subscribers from a file: our own export, or other push software's",
		Long: `Reads subscribers from a file, or with "-" from standard input. The file may be our
own export; PushSubscriptions as JSON, one per line or in a list; a table (CSV) with
the columns endpoint, p256dh and auth; OneSignal's export; or records of Firebase's
client that contain the subscription. The file may be compressed with gzip.

A message to a subscription needs the VAPID key pair that the subscription was made
with. If the file does not name the key, set --key. If the key ring does not have it
yet, set --vapid-private-file: the pair is added to the ring after a check of the
beginning of the file. The pair does not become the current key, which new
subscriptions of all sites use, unless --make-current is set.

Each row is checked like a browser's subscription. The command reports the line and row
of each invalid one, and imports the others; importing a file again is harmless. The
exit status is 1 if no row is valid.`,
		Example: `  caddy webpush subscribers import --site shop.example.com subscribers.ndjson
  caddy webpush subscribers import --site shop.example.com players.csv.gz --vapid-public BNc… --vapid-private-file onesignal.key
  caddy webpush subscribers import --site shop.example.com list.json --key current --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.runImport(cmd.Context(), *site, args[0], f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "auto", "auto, web-push, onesignal, firebase or csv")
	fl.StringVar(&f.key, "key", "", `VAPID key of rows without a key: an id of 'caddy webpush keys', a public key, or "current"`)
	fl.StringVar(&f.vapidPublic, "vapid-public", "", "Public half of a VAPID key pair, for rows without a key")
	fl.StringVar(&f.vapidFile, "vapid-private-file", "", "File with the VAPID key pair, or its private key, to import first")
	fl.BoolVar(&f.makeCurrent, "make-current", false, "Make that pair the current key of all sites")
	fl.BoolVar(&f.dryRun, "dry-run", false, "Check the file, but store nothing")
	return cmd
}

// check refuses flags that exclude each other.
func (f *importFlags) check() error {
	switch {
	case f.vapidPublic+f.vapidFile != "" && f.key != "":
		return errors.New("--key and the options of a VAPID key pair both name the rows' key: use one of them")
	case f.vapidPublic+f.vapidFile == "" && f.makeCurrent:
		return errors.New("--vapid-private-file is missing: it names the file with the pair to make the current one")
	case f.vapidPublic != "" && f.vapidFile == "" && !f.dryRun:
		return errors.New("--vapid-private-file is missing: it names a file with the private half of --vapid-public")
	}
	return nil
}

func (c *command) runImport(ctx context.Context, site, file string, f importFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.vapidFile != "" {
		var err error
		if f.pair, err = readPair(f.vapidPublic, f.vapidFile); err != nil {
			return err
		}
		f.vapidPublic = f.pair.PublicKey()
	}
	if f.key != "" && f.key != "current" {
		var err error
		if f.key, err = c.keyID(ctx, f.key); err != nil {
			return err
		}
	}
	in, err := openImport(file)
	if err != nil {
		return err
	}
	defer in.close()
	defer in.show.abandon()
	if f.vapidPublic != "" {
		if err := c.bringKey(ctx, site, in, &f); err != nil {
			return err
		}
	}
	var raw []byte
	result, err := c.client(&raw).ImportSubscriptions(ctx, site, f.options(), in)
	switch {
	case in.err != nil:
		return in.broken(f.dryRun)
	case err != nil:
		return err
	}
	in.finish()
	if err := c.print(raw, func(w io.Writer) error { return printImported(w, site, result) }); err != nil {
		return err
	}
	switch {
	case result.Rows == 0:
		return errors.New("the file has no rows")
	case result.Added+result.Known == 0:
		return errors.New("the file has no valid row")
	}
	c.warnUnconfigured(ctx, site)
	return nil
}

// bringKey adds the pair to the ring, or in a dry run only uses its public half. The ring
// does not change if the file's beginning has no valid row.
func (c *command) bringKey(ctx context.Context, site string, in *importFile, f *importFlags) error {
	f.key = strings.TrimSpace(f.vapidPublic)
	if f.dryRun {
		return nil
	}
	head, err := in.peek()
	if err != nil {
		return in.broken(true)
	}
	trial := f.options()
	trial.DryRun = true
	tried, err := c.client(nil).ImportSubscriptions(ctx, site, trial, bytes.NewReader(head))
	if err != nil {
		return fmt.Errorf("%w; the key ring is unchanged", err)
	}
	if tried.Added+tried.Known+tried.Skipped == 0 {
		if err := printImported(os.Stderr, site, tried); err != nil {
			return err
		}
		return errors.New("the file's beginning has no valid row, so the key ring is unchanged")
	}
	key, err := putInRing(ctx, c.client(nil), f.pair, f.makeCurrent)
	if err != nil {
		return err
	}
	f.key = key.ID
	is := "is in the ring"
	if key.Current {
		is = "is the current one"
	}
	fmt.Fprintf(os.Stderr, "Key %s %s.\n", key.ID, is)
	return nil
}

// options are the API's.
func (f *importFlags) options() api.ImportOptions {
	return api.ImportOptions{Format: f.format, Key: f.key, DryRun: f.dryRun}
}

// importFile is a file that is sent to the server. It shows the progress.
type importFile struct {
	file   *os.File
	in     io.Reader // unpacked
	show   *progress
	size   int64 // 0 where unknown
	packed int64 // bytes read of the file
	rows   int64
	err    error // what broke the reading
}

func openImport(name string) (*importFile, error) {
	i := &importFile{file: os.Stdin, show: newProgress()}
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("opening the subscribers: %w", err)
		}
		i.file = file
		if info, err := file.Stat(); err == nil && info.IsDir() {
			i.close()
			return nil, fmt.Errorf("%s is a folder: name a file in it", name)
		}
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

// Read implements io.Reader. The server's reading limits the speed.
func (i *importFile) Read(p []byte) (int, error) {
	n, err := i.in.Read(p)
	i.rows += int64(bytes.Count(p[:n], []byte("\n")))
	i.show.show(i.text())
	if err != nil && !errors.Is(err, io.EOF) {
		i.err = err
	}
	return n, err
}

// sampleSize is the length of the file's beginning that is checked before the key ring changes.
const sampleSize = 256 << 10

// peek returns the beginning of the file; Read returns it again.
func (i *importFile) peek() ([]byte, error) {
	buffered := bufio.NewReaderSize(i.in, sampleSize)
	i.in = buffered
	head, err := buffered.Peek(sampleSize)
	if err != nil && !errors.Is(err, io.EOF) {
		i.err = err
		return nil, err
	}
	return head, nil
}

// broken is the error of a file that could not be read to its end. It names the number of
// stored rows.
func (i *importFile) broken(nothingStored bool) error {
	if nothingStored {
		return fmt.Errorf("reading the subscribers: %w; nothing was stored", i.err)
	}
	return fmt.Errorf("reading the subscribers: %w; some of the %d rows before that are stored. Correct the file and import all of it again: stored rows are skipped", i.err, i.rows)
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

func printImported(w io.Writer, site string, r api.Imported) error {
	added, note := "added", "to "+site
	if r.DryRun {
		added, note = "new", "would be added to "+site
		fmt.Fprintln(w, "Nothing was stored.")
	}
	rows := [][]any{{"rows", r.Rows, "(" + r.Format + ")"}}
	for _, line := range []struct {
		count
		note string
	}{
		{count{added, r.Added}, note},
		{count{"known", r.Known}, "were there before"},
		{count{"conflicting", r.Conflicting}, "known with other keys, left as they were"},
		{count{"skipped", r.Skipped}, "unsubscribed, or no web push"},
		{count{"refused", r.Refused}, "can't be sent to"},
	} {
		if line.n == 0 {
			line.note = ""
		}
		rows = append(rows, []any{"  " + line.name, line.n, line.note})
	}
	if err := table(w, nil, rows); err != nil {
		return err
	}
	for _, fault := range r.Faults {
		field := fault.Field
		if field != "" {
			field += " "
		}
		text := printable(field + fault.Reason)
		if fault.Field == "applicationServerKey" && strings.HasPrefix(fault.Reason, "is missing") {
			text = "names no VAPID key: set --key or --vapid-public to the key that the subscriptions were made with"
		}
		fmt.Fprintf(w, "line %d, row %d: %s\n", fault.Line, fault.Row, text)
	}
	if more := r.Refused - int64(len(r.Faults)); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	return nil
}
