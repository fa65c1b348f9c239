package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// Buckets at the top of the file. Each site has its own bucket within "sites", so
// that no name or id can collide with another site's key.
const (
	bucketMeta       = "meta"       // see meta…
	bucketSites      = "sites"      // site name → bucket
	bucketKeys       = "keys"       // key id → key pair
	bucketUnfinished = "unfinished" // message id + site → length of the id
	bucketPeople     = "people"     // site name → bucket, see people…; made with the first row
	// bucketSettings: see setting.go; bucketPopups: see popup.go; bucketRemoved: see site.go;
	// bucketMoves: see move.go
)

// Keys of bucket "meta".
const (
	metaFormat  = "format"      // uint32
	metaCurrent = "current key" // key id
	metaSecret  = "secret"      // 32 bytes
)

// Buckets of a site.
const (
	siteSubs     = "subscriptions" // id8 → subscription
	siteIndex    = "endpoints"     // first 16 bytes of SHA-256(endpoint) → id8
	siteMessages = "messages"      // message id → the constant part
	siteProgress = "progress"      // message id → the part that changes
	siteRanges   = "ranges"        // message id → bucket of number4 → range
	siteLater    = "later"         // message id → bucket, see later…
	siteReceipts = "receipts"      // message id → bucket of kind1 + id8
	siteIdem     = "idempotency"   // client's key → record
	siteExpiry   = "expiry"        // time8 + client's key → nothing
)

// Plain keys of a site's bucket.
const (
	siteCounts  = "counts"  // the numbers of rows
	siteIndexed = "indexed" // id8: all up to this one are in "endpoints"
)

// fill is how full pages of rising keys are: no row is inserted between.
const fill = 0.98

// site is one site within a transaction.
type site struct {
	name string
	b    *bolt.Bucket
}

// openSite returns the site; false if it never had a subscription.
func openSite(tx *bolt.Tx, name string) (site, bool) {
	return openIn(tx, bucketSites, name)
}

// makeSite returns the site, and makes it if it is missing.
func (w *writeTx) makeSite(name string) (site, error) {
	return w.makeIn(bucketSites, name)
}

// openIn returns a site's part of a bucket at the top of the file; false if it
// never had one.
func openIn(tx *bolt.Tx, bucket, name string) (site, bool) {
	return rawIn(tx, bucket, current(tx, name))
}

// rawIn is openIn for this exact name, even if it is another site's former name.
func rawIn(tx *bolt.Tx, bucket, name string) (site, bool) {
	all := tx.Bucket([]byte(bucket))
	if all == nil || name == "" {
		return site{}, false
	}
	b := all.Bucket([]byte(name))
	return site{name, b}, b != nil
}

// makeIn returns a site's part, and makes it if it is missing.
func (w *writeTx) makeIn(bucket, name string) (site, error) {
	if name == "" || len(name) > pushsvc.MaxSiteName {
		return site{}, fmt.Errorf("site name has %d bytes, not 1 to %d", len(name), pushsvc.MaxSiteName)
	}
	name = current(w.tx, name)
	all := w.tx.Bucket([]byte(bucket))
	if all == nil {
		var err error
		w.touched = true
		if all, err = w.tx.CreateBucket([]byte(bucket)); err != nil {
			return site{}, fmt.Errorf("making bucket %q: %w", bucket, err)
		}
	}
	if b := all.Bucket([]byte(name)); b != nil {
		return site{name, b}, nil
	}
	b, err := w.bucket(all, name)
	if last := all.Sequence(); err == nil && last > 0 { // see removeSite
		err = b.SetSequence(last)
	}
	return site{name, b}, err
}

// eachIn calls fn with the name of each site that has or had a part in a bucket
// at the top of the file.
func eachIn(tx *bolt.Tx, bucket string, fn func(name string)) {
	all := tx.Bucket([]byte(bucket))
	if all == nil {
		return
	}
	c := all.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if v == nil && len(k) <= pushsvc.MaxSiteName && current(tx, string(k)) == string(k) {
			fn(string(k))
		}
	}
}

// get reads and checks a row of one of the site's buckets; nil without a row.
// The result is valid only in the transaction.
func (s site) get(bucket string, key []byte) ([]byte, error) {
	b := s.b.Bucket([]byte(bucket))
	if b == nil {
		return nil, nil
	}
	v := b.Get(key)
	if v == nil {
		return nil, nil
	}
	return s.open(bucket, key, v)
}

// open checks a row that has been read.
func (s site) open(bucket string, key, value []byte) ([]byte, error) {
	payload, err := newSeed(bucket, s.name).unseal(key, value)
	if err != nil {
		return nil, s.damage(bucket, key, err)
	}
	return payload, nil
}

// put seals and stores a row.
func (s site) put(w *writeTx, bucket string, key, payload []byte) error {
	return s.putRow(w, bucket, key, newSeed(bucket, s.name).seal(key, payload))
}

// putRow stores a row that has been sealed.
func (s site) putRow(w *writeTx, bucket string, key, row []byte) error {
	b, err := w.bucket(s.b, bucket)
	if err != nil {
		return err
	}
	if bucket == siteSubs || bucket == siteMessages || bucket == siteProgress || bucket == peopleHistory {
		b.Fill(fill)
	}
	return w.put(b, key, row)
}

// damage returns an error that names the row.
func (s site) damage(bucket string, key []byte, err error) error {
	id := "one row"
	switch {
	case bucket == siteSubs && len(key) == 8:
		id = "id " + strconv.FormatUint(binary.BigEndian.Uint64(key), 10)
	case bucket == siteMessages, bucket == siteProgress, bucket == siteRanges, bucket == siteLater, bucket == bucketSettings:
		id = "id " + printable(key)
	}
	name := "of a site whose name is damaged"
	if clean, err := pushsvc.SiteName(s.name); err == nil && clean == s.name {
		name = fmt.Sprintf("of site %q", s.name)
	}
	return &DamageError{Where: fmt.Sprintf("bucket %q %s, %s", bucket, name, id), Err: err}
}

// printable returns an id that may be logged. A key from a damaged page may be
// many rows long, with all their secrets.
func printable(id []byte) string {
	const longest = 36 // a UUID
	if len(id) > longest || strings.Trim(string(id), "0123456789-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		return "(unprintable)"
	}
	return string(id)
}

// counts are the stored numbers for lists.
type counts struct{ subscriptions, messages uint64 }

// counts reads the site's numbers; if they are damaged, it counts again.
func (s site) counts(report func(error)) counts {
	n, err := s.readCounts()
	if err != nil {
		report(err)
		return counts{s.count(siteSubs), s.count(siteMessages)}
	}
	return n
}

// readCounts also verifies a site name that comes from the file: the checksum
// covers it.
func (s site) readCounts() (counts, error) {
	v := s.b.Get([]byte(siteCounts))
	if v == nil {
		if s.b.Bucket([]byte(siteSubs)) != nil { // otherwise the site is just being made
			return counts{}, s.damage(siteCounts, nil, errors.New("it is missing"))
		}
		return counts{}, nil
	}
	p, err := s.open(siteCounts, []byte(siteCounts), v)
	if err == nil && len(p) != 16 {
		err = s.damage(siteCounts, nil, errors.New("it has the wrong length"))
	}
	if err != nil {
		return counts{}, err
	}
	return counts{binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])}, nil
}

// allSites returns every site of the file. It reports and skips a site whose name
// fails the check.
func allSites(tx *bolt.Tx, report func(error)) (sites []site) {
	all := tx.Bucket([]byte(bucketSites))
	c := all.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		st := site{name: string(k[:min(len(k), pushsvc.MaxSiteName+1)])}
		if v == nil {
			st.b = all.Bucket(k)
		}
		if st.b == nil {
			report(st.damage(bucketSites, nil, errors.New("it is not a bucket")))
			continue
		}
		if _, err := st.readCounts(); err != nil {
			if clean, bad := pushsvc.SiteName(st.name); bad != nil || clean != st.name {
				report(err)
				continue
			}
		}
		sites = append(sites, st)
	}
	return sites
}

func (s site) count(bucket string) (n uint64) {
	s.each(bucket, func([]byte) { n++ })
	return n
}

// each calls fn with every key of a bucket.
func (s site) each(bucket string, fn func(k []byte)) {
	b := s.b.Bucket([]byte(bucket))
	if b == nil {
		return
	}
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		fn(k)
	}
}

func (s site) putCounts(w *writeTx, c counts) error {
	p := binary.BigEndian.AppendUint64(nil, c.subscriptions)
	p = binary.BigEndian.AppendUint64(p, c.messages)
	return w.put(s.b, []byte(siteCounts), newSeed(siteCounts, s.name).seal([]byte(siteCounts), p))
}

func (s site) summary(report func(error)) pushsvc.SiteSummary {
	c := s.counts(report)
	return pushsvc.SiteSummary{Site: s.name, Subscriptions: int64(c.subscriptions), Messages: int64(c.messages)}
}

// idKey returns a subscription id as a key, in numeric order.
func idKey(id pushsvc.SubscriptionID) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(id))
}
