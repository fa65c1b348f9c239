package boltstore

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// metaCopied is in the "meta" of a backup, and of a restored store, until it is
// opened. Open then holds its messages, since the copy does not know what was
// sent later.
const metaCopied = "copied" // nothing

// markCopied marks a file that no process has open.
func markCopied(path string) error {
	db, file, err := openBolt(path, bolt.Options{Timeout: offlineTimeout})
	if err != nil {
		return fmt.Errorf("marking the copy, so that its messages are held: %w", err)
	}
	db.AllocSize = allocSize
	err = catch(func() error {
		return db.Update(func(tx *bolt.Tx) error {
			meta := tx.Bucket([]byte(bucketMeta))
			if meta == nil {
				return errors.New("the file is empty")
			}
			return meta.Put([]byte(metaCopied), nil)
		})
	})
	if err != nil {
		_ = release(file)
		return fmt.Errorf("marking the copy, so that its messages are held: %w", err)
	}
	return db.Close()
}

// holdCopied holds the messages of a marked file, in one transaction. It reports
// and skips a damaged message: no engine sends it.
func (s *Store) holdCopied(db *bolt.DB) error {
	marked := false
	err := db.View(func(tx *bolt.Tx) error {
		marked = tx.Bucket([]byte(bucketMeta)).Get([]byte(metaCopied)) != nil
		return nil
	})
	if err != nil || !marked {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		w := &writeTx{tx: tx, s: s}
		var open []message
		eachUnfinished(tx, "", s.report, func(st site, id string) bool {
			m, err := st.message(id)
			if err == nil {
				err = m.Command(pushsvc.CommandHold, time.Time{})
			}
			switch {
			case err == nil:
				open = append(open, m)
			case !errors.Is(err, pushsvc.ErrWrongState):
				s.report(err)
			}
			return true
		})
		for _, m := range moves(tx, s.report) { // their waiting messages are not in "unfinished"
			if m.Held = m.Running; !m.Running {
				continue
			}
			if err := w.putMove(m); err != nil {
				return err
			}
		}
		for _, m := range open {
			st, _ := openSite(tx, m.Site)
			if err := st.putProgress(w, m); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(bucketMeta)).Delete([]byte(metaCopied))
	})
	if err != nil {
		return fmt.Errorf("holding the messages of a restored store: %w", err)
	}
	return nil
}
