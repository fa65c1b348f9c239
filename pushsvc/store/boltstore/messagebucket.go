package boltstore

import (
	"fmt"

	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// messageBucket is a bucket of one message's rows, within one of its site's
// buckets. Their checksums also cover the message's id.
type messageBucket struct {
	st     site
	bucket string
	id     string
	b      *bolt.Bucket // nil if it is missing
}

func (s site) messageBucket(bucket, id string) messageBucket {
	mb := messageBucket{st: s, bucket: bucket, id: id}
	if all := s.b.Bucket([]byte(bucket)); all != nil && id != "" {
		mb.b = all.Bucket([]byte(id))
	}
	return mb
}

// makeMessageBucket returns it, and makes it if it is missing.
func (w *writeTx) makeMessageBucket(st site, bucket, id string) (messageBucket, error) {
	mb := messageBucket{st: st, bucket: bucket, id: id}
	all, err := w.bucket(st.b, bucket)
	if err != nil {
		return mb, err
	}
	mb.b, err = w.bucket(all, id)
	return mb, err
}

// drop removes the bucket.
func (mb messageBucket) drop(w *writeTx) error {
	if mb.b == nil {
		return nil
	}
	w.touched = true
	if err := mb.st.b.Bucket([]byte(mb.bucket)).DeleteBucket([]byte(mb.id)); err != nil {
		return fmt.Errorf("removing from bucket %q: %w", mb.bucket, err)
	}
	return nil
}

// get reads and checks a row; nil without a row.
func (mb messageBucket) get(key []byte) ([]byte, error) {
	if mb.b == nil {
		return nil, nil
	}
	v := mb.b.Get(key)
	if v == nil {
		return nil, nil
	}
	return mb.open(key, v)
}

// open checks a row that has been read.
func (mb messageBucket) open(key, value []byte) ([]byte, error) {
	payload, err := mb.seed().unseal(mb.place(key), value)
	if err != nil {
		return nil, mb.damage(err)
	}
	return payload, nil
}

func (mb messageBucket) put(w *writeTx, key, payload []byte) error {
	return w.put(mb.b, key, mb.seed().seal(mb.place(key), payload))
}

func (mb messageBucket) damage(err error) error { return mb.st.damage(mb.bucket, []byte(mb.id), err) }

func (mb messageBucket) seed() seed { return newSeed(mb.bucket, mb.st.name) }

// place returns what a row's checksum covers of its place.
func (mb messageBucket) place(key []byte) []byte {
	return append([]byte(mb.id+"\x00"), key...)
}
