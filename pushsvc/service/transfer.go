package service

import (
	"bufio"
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/transfer"
)

// ExportForms are the forms of Export.
const (
	ExportNDJSON = "ndjson" // one JSON object a line
	ExportCSV    = "csv"    // a table with a header
)

// Export writes all subscriptions of the site to w, one per line, including their
// secrets, in a format that Import accepts (and most web push software too):
// ExportNDJSON or ExportCSV. It returns their number. Subscriptions made during
// the export may be included.
func (s *Service) Export(ctx context.Context, site, form string, w io.Writer) (int64, error) {
	sum, err := s.Site(ctx, site)
	if err != nil {
		return 0, err
	}
	keys, err := s.Store.Keys(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the key ring: %w", err)
	}
	public := make(map[string]string, len(keys))
	for _, k := range keys {
		public[k.ID] = k.Public
	}
	out := bufio.NewWriterSize(w, 64<<10)
	var n int64
	var line []byte
	appendRecord := transfer.AppendRecord
	if form == ExportCSV {
		appendRecord = transfer.AppendRow
		line = transfer.AppendHeader(line)
		if _, err := out.Write(line); err != nil {
			return 0, fmt.Errorf("writing subscriptions: %w", err)
		}
	}
	err = s.each(ctx, sum.Site, func(sub *pushsvc.Subscription) error {
		line = appendRecord(line[:0], transfer.Record{
			Endpoint: sub.Endpoint,
			P256DH:   base64.RawURLEncoding.EncodeToString(sub.P256DH[:]),
			Auth:     base64.RawURLEncoding.EncodeToString(sub.Auth[:]),
			Key:      public[sub.KeyID], Expiration: sub.Expiration,
			Language: sub.Language, TimeZone: sub.TimeZone, Page: sub.Page,
			Topics: sub.Topics, Created: sub.Created, Seen: sub.Seen,
		})
		n++
		_, err := out.Write(line)
		return err
	})
	if err != nil {
		return n, err
	}
	return n, out.Flush()
}

// MaxFaults is how many faulty rows an import lists.
const MaxFaults = 100

// importSize is how many subscriptions are stored together: enough to fill the
// store's pages, usually at most 3 MB.
const importSize = 5000

// ImportOptions are the options for reading a file.
type ImportOptions struct {
	Format transfer.Format
	// Key is the VAPID key of rows that name none: its id, its public key, or
	// "current"; if it is empty, each row must name its own. In a dry run the
	// public key need not be in the ring.
	Key string
	// DryRun checks and counts everything and stores nothing. It reads all subscriptions of
	// the site.
	DryRun bool
}

// Import stores the subscriptions that r lists, in the order of the file and five
// thousand at a time. Repeating it is harmless. A faulty row affects only itself.
// If it returns an error, the counted rows have been stored. A
// *transfer.FormatError means that r can't be read.
func (s *Service) Import(ctx context.Context, site string, r io.Reader, o ImportOptions) (api.Imported, error) {
	im := &importing{service: s, options: o, now: s.Clock().Truncate(time.Second)}
	im.result = api.Imported{Format: o.Format, DryRun: o.DryRun, Faults: []api.ImportFault{}}
	var err error
	if im.site, err = s.knownSite(ctx, site); err != nil {
		return im.result, err
	}
	if err := im.readRing(ctx); err != nil {
		return im.result, err
	}
	rows, err := transfer.NewReader(r, o.Format)
	if err != nil {
		return im.result, fmt.Errorf("reading the file: %w", err)
	}
	err = im.run(ctx, rows)
	im.result.Format = rows.Format()
	return im.result, err
}

// importing is a running import.
type importing struct {
	service *Service
	options ImportOptions
	site    string
	now     time.Time
	// ids are the ring's keys by public key; fallback is the key of rows that
	// name none.
	ids      map[string]string
	fallback string
	batch    []pushsvc.Subscription
	result   api.Imported
	// stored has the site's subscriptions, and those of the file so far, in a dry run.
	stored map[uint64][pushsvc.AuthSize]byte
	seed   maphash.Seed
}

func (im *importing) readRing(ctx context.Context) error {
	keys, err := im.service.Store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("reading the key ring: %w", err)
	}
	im.ids = make(map[string]string, len(keys))
	wanted := urlBase64(im.options.Key)
	for _, k := range keys {
		im.ids[k.Public] = k.ID
		if wanted != "" && (k.ID == wanted || k.Public == wanted || wanted == "current" && k.Current) {
			im.fallback = k.ID
		}
	}
	if im.options.DryRun && im.fallback == "" && isPublicKey(wanted) {
		im.fallback = KeyID(wanted)
		im.ids[wanted] = im.fallback
	}
	if wanted != "" && im.fallback == "" {
		return &pushsvc.FieldError{Field: "key", Problem: `is neither "current" nor a key of the ring: import the pair first; 'caddy webpush keys' lists those there are`}
	}
	return nil
}

// isPublicKey reports whether s is a VAPID public key: an uncompressed point of
// P-256 in base64url (RFC 8292 §3.2).
func isPublicKey(s string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return false
	}
	_, err = ecdh.P256().NewPublicKey(raw)
	return err == nil
}

func (im *importing) run(ctx context.Context, rows *transfer.Reader) error {
	for {
		rec, err := rows.Next()
		var bad *transfer.RecordError
		switch {
		case errors.Is(err, io.EOF):
			return im.flush(ctx)
		case errors.As(err, &bad):
			im.refuse(bad.Line, bad.Field, bad.Problem)
		case err != nil:
			// Complete rows are stored.
			return errors.Join(fmt.Errorf("reading the file: %w", err), im.flush(ctx))
		default:
			im.take(rec)
		}
		if len(im.batch) == importSize {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// take adds a record to the batch, or counts it as skipped or refused.
func (im *importing) take(rec transfer.Record) {
	if rec.Skip != "" {
		im.result.Rows++
		im.result.Skipped++
		return
	}
	sub, err := im.subscription(rec)
	var field *pushsvc.FieldError
	if errors.As(err, &field) {
		im.refuse(rec.Line, field.Field, field.Problem)
		return
	}
	im.result.Rows++
	im.batch = append(im.batch, sub)
}

func (im *importing) refuse(line int, field, reason string) {
	im.result.Rows++
	im.result.Refused++
	if len(im.result.Faults) < MaxFaults {
		im.result.Faults = append(im.result.Faults, api.ImportFault{Line: line, Row: im.result.Rows, Field: field, Reason: reason})
	}
}

// subscription checks a record as Subscribe checks a browser's request.
func (im *importing) subscription(rec transfer.Record) (pushsvc.Subscription, error) {
	var req SubscribeRequest
	req.Endpoint, req.Keys = rec.Endpoint, KeysJSON{P256DH: urlBase64(rec.P256DH), Auth: urlBase64(rec.Auth)}
	req.Language, req.TimeZone, req.Page = rec.Language, rec.TimeZone, rec.Page
	sub, err := im.service.parseSubscription(req)
	if err != nil {
		return sub, err
	}
	sub.Site, sub.Expiration, sub.Topics = im.site, rec.Expiration, pushsvc.CleanTopics(rec.Topics)
	sub.Created, sub.Seen = im.moment(rec.Created), im.moment(rec.Seen)
	if rec.Seen.IsZero() || sub.Seen.Before(sub.Created) {
		sub.Seen = sub.Created
	}
	sub.KeyID, err = im.keyID(rec.Key)
	return sub, err
}

// moment returns a time of the file, or now if it is missing or in the future.
func (im *importing) moment(t time.Time) time.Time {
	if t.IsZero() || t.After(im.now) {
		return im.now
	}
	return t.Truncate(time.Second)
}

func (im *importing) keyID(public string) (string, error) {
	if public == "" {
		if im.fallback == "" {
			return "", &pushsvc.FieldError{Field: "applicationServerKey", Problem: `is missing: say which VAPID key the subscriptions were made with (key=<id>, or "current"); where it is not in the ring, import the pair first`}
		}
		return im.fallback, nil
	}
	if id := im.ids[urlBase64(public)]; id != "" {
		return id, nil
	}
	return "", &pushsvc.FieldError{Field: "applicationServerKey", Problem: "is not in the key ring: without the private key no message can be sent to this subscription; import the pair first"}
}

// urlBase64 converts a key from standard base64, as in OneSignal's files, to
// base64url.
func urlBase64(key string) string {
	return base64Alphabet.Replace(strings.TrimRight(key, "="))
}

var base64Alphabet = strings.NewReplacer("+", "-", "/", "_")

// flush stores the batch.
func (im *importing) flush(ctx context.Context) error {
	if len(im.batch) == 0 {
		return nil
	}
	defer func() { im.batch = im.batch[:0] }()
	n, err := im.store(ctx)
	if err != nil {
		im.result.Rows -= int64(len(im.batch)) // their result is unknown
		return fmt.Errorf("storing subscriptions: %w", err)
	}
	im.result.Added += int64(n.Added)
	im.result.Known += int64(n.Known)
	im.result.Conflicting += int64(n.Conflicting)
	return nil
}

// store stores the batch, or in a dry run only counts it.
func (im *importing) store(ctx context.Context) (n pushsvc.Imported, err error) {
	if !im.options.DryRun {
		return im.service.Store.ImportSubscriptions(ctx, im.site, im.batch)
	}
	if im.stored == nil {
		if err := im.readStored(ctx); err != nil {
			return n, err
		}
	}
	for _, sub := range im.batch {
		endpoint := maphash.String(im.seed, sub.Endpoint)
		var known pushsvc.Subscription
		if auth, ok := im.stored[endpoint]; ok {
			known = pushsvc.Subscription{ID: 1, Endpoint: sub.Endpoint, Auth: auth}
		}
		if row, ok := n.Merge(sub, known); ok {
			im.stored[endpoint] = row.Auth
		}
	}
	return n, nil
}

// readStored reads what decides whether a row is known. The map has hashes of the endpoints, so
// that a million of them take about 50 MB.
func (im *importing) readStored(ctx context.Context) error {
	im.stored, im.seed = map[uint64][pushsvc.AuthSize]byte{}, maphash.MakeSeed()
	return im.service.each(ctx, im.site, func(sub *pushsvc.Subscription) error {
		im.stored[maphash.String(im.seed, sub.Endpoint)] = sub.Auth
		return nil
	})
}
