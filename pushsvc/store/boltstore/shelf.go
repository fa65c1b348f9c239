package boltstore

import (
	"fmt"

	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// shelf is a bucket of one message's rows, within one of its site's buckets.
// Their checksums cover the message's id too.
type shelf struct {
	st     site
	bucket string
	id     string
	b      *bolt.Bucket // nil where there is none
}

func (s site) shelf(bucket, id string) shelf {
	sh := shelf{st: s, bucket: bucket, id: id}
	if all := s.b.Bucket([]byte(bucket)); all != nil && id != "" {
		sh.b = all.Bucket([]byte(id))
	}
	return sh
}

// makeShelf makes it where it is missing.
func (w *writeTx) makeShelf(st site, bucket, id string) (shelf, error) {
	sh := shelf{st: st, bucket: bucket, id: id}
	all, err := w.bucket(st.b, bucket)
	if err != nil {
		return sh, err
	}
	sh.b, err = w.bucket(all, id)
	return sh, err
}

// drop removes the whole shelf.
func (sh shelf) drop(w *writeTx) error {
	if sh.b == nil {
		return nil
	}
	w.touched = true
	if err := sh.st.b.Bucket([]byte(sh.bucket)).DeleteBucket([]byte(sh.id)); err != nil {
		return fmt.Errorf("removing from bucket %q: %w", sh.bucket, err)
	}
	return nil
}

// get reads and checks a row; nil where there is none.
func (sh shelf) get(key []byte) ([]byte, error) {
	if sh.b == nil {
		return nil, nil
	}
	v := sh.b.Get(key)
	if v == nil {
		return nil, nil
	}
	return sh.open(key, v)
}

// open checks a row that has been read.
func (sh shelf) open(key, value []byte) ([]byte, error) {
	payload, err := sh.seed().unseal(sh.place(key), value)
	if err != nil {
		return nil, sh.damage(err)
	}
	return payload, nil
}

func (sh shelf) put(w *writeTx, key, payload []byte) error {
	return w.put(sh.b, key, sh.seed().seal(sh.place(key), payload))
}

func (sh shelf) damage(err error) error { return sh.st.damage(sh.bucket, []byte(sh.id), err) }

func (sh shelf) seed() seed { return newSeed(sh.bucket, sh.st.name) }

// place is what a row's checksum covers of where it belongs.
func (sh shelf) place(key []byte) []byte {
	return append([]byte(sh.id+"\x00"), key...)
}
