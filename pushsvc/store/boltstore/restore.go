package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// offlineTimeout is how long CheckFile and Restore wait for a process that has
// the file: long enough for one that is ending.
const offlineTimeout = time.Second

// Checked is what CheckFile found.
type Checked struct {
	// Format is the layout of the file.
	Format int
	// Sites, Subscriptions, Messages, Keys, Settings, Profiles, Popups and
	// Uploads count the valid rows.
	Sites, Subscriptions, Messages, Keys, Settings, Profiles, Popups, Uploads int
	// Damaged counts the damaged rows; Damage has at most the first ten, as
	// *DamageError.
	Damaged int
	Damage  []error
	// Held are the messages that a store restored from the file holds: those that
	// have not ended. Messages of format 1 are not listed.
	Held []pushsvc.Message
	// Kept is the path where Restore kept the former store; empty if there was
	// none.
	Kept string
}

func (c *Checked) report(err error) {
	c.Damaged++
	if len(c.Damage) < 10 {
		c.Damage = append(c.Damage, err)
	}
}

// ErrDamagedBackup means that a backup has rows that can't be read.
var ErrDamagedBackup = errors.New("the backup is damaged")

// ErrNoBackup means that a file cannot be opened as a backup: it is cut short, or
// something else. Restore refuses it with damaged too, for no rows can be found in it.
var ErrNoBackup = errors.New("is no backup of caddy-webpush, or not a whole one")

// CheckFile reads a whole store, or a backup of one, that no process has open,
// and changes nothing. It returns an error if Open would refuse the file.
func CheckFile(ctx context.Context, path string) (Checked, error) {
	var c Checked
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		err = &DamageError{Where: "file", Err: errors.New("it is empty")}
	}
	if err != nil {
		return c, fmt.Errorf("checking push store %s: %w", path, err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	err = inspect(path, offlineTimeout, c.report, func(tx *bolt.Tx) error {
		if err := checkFormat(tx); err != nil {
			return err
		}
		meta := tx.Bucket([]byte(bucketMeta))
		if meta == nil {
			return errors.New("the file is empty")
		}
		c.Format = int(binary.BigEndian.Uint32(meta.Get([]byte(metaFormat))))
		return c.rows(ctx, tx)
	})
	if err != nil {
		return c, fmt.Errorf("checking push store %s: %w", path, lockedError(err))
	}
	return c, nil
}

// lockedError explains bbolt's error for a file in use.
func lockedError(err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("the file is locked by another process; stop Caddy first: %w", err)
	}
	return withErrno(err)
}

// rows reads every row that has a checksum. A damaged page skips the rest of its
// bucket only.
func (c *Checked) rows(ctx context.Context, tx *bolt.Tx) error {
	guard := func(fn func()) {
		if err := catch(func() error { fn(); return nil }); err != nil {
			c.report(err)
		}
	}
	guard(func() {
		keys := tx.Bucket([]byte(bucketKeys))
		for cur, k := keys.Cursor(), []byte(nil); ; {
			if k == nil {
				k, _ = cur.First()
			} else {
				k, _ = cur.Next()
			}
			if k == nil {
				return
			}
			c.row(&c.Keys, func() error { _, err := readKey(tx, string(k)); return err })
		}
	})
	guard(func() { c.settings(tx) })
	guard(func() { c.popups(tx) })
	guard(func() { moves(tx, c.report) })
	var sites []site
	guard(func() { sites = allSites(tx, c.report) })
	for _, st := range sites {
		c.Sites++
		guard(func() { c.subscriptions(ctx, st) })
		guard(func() { c.messages(st) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	var people []site
	guard(func() { people = allPeople(tx, c.report) })
	for _, p := range people {
		guard(func() { c.people(ctx, p) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// people reads a site's people.
func (c *Checked) people(ctx context.Context, p site) {
	p.eachProfile(nil, c.report, func(*people.Profile) bool {
		c.Profiles++
		return c.Profiles%1024 > 0 || ctx.Err() == nil
	})
	for _, bucket := range []string{peopleDevices, peopleIdentities, peopleHistory, peopleEvents, peoplePopups} {
		b := p.b.Bucket([]byte(bucket))
		if b == nil {
			continue
		}
		cur := b.Cursor()
		for k, v := cur.First(); k != nil; k, v = cur.Next() {
			if _, err := p.open(bucket, k, v); err != nil {
				c.report(err)
			}
		}
	}
}

func (c *Checked) row(n *int, read func() error) {
	if err := read(); err != nil {
		c.report(err)
		return
	}
	*n++
}

func (c *Checked) subscriptions(ctx context.Context, st site) {
	b := st.b.Bucket([]byte(siteSubs))
	if b == nil {
		return
	}
	counted, _ := st.readCounts()
	indexed := st.indexed(c.report)
	if c.Format < 2 {
		indexed = st.lastID()
	}
	index, seed, n := st.b.Bucket([]byte(siteIndex)), newSeed(siteSubs, st.name), uint64(0)
	cur := b.Cursor()
	for k, v := cur.First(); k != nil && (n%1024 > 0 || ctx.Err() == nil); k, v = cur.Next() {
		n++
		var sub pushsvc.Subscription
		c.row(&c.Subscriptions, func() error {
			if err := st.decode(seed, k, v, &sub); err != nil {
				return err
			}
			h := indexKey(sub.Endpoint)
			if sub.ID <= indexed && (index == nil || !bytes.Equal(index.Get(h[:]), k)) {
				return st.damage(siteSubs, k, errors.New("the index of endpoints doesn't lead to it"))
			}
			return nil
		})
	}
	if n != counted.subscriptions && ctx.Err() == nil {
		c.report(st.damage(siteCounts, nil, fmt.Errorf("it says %d subscriptions, there are %d", counted.subscriptions, n)))
	}
}

func (c *Checked) messages(st site) {
	b := st.b.Bucket([]byte(siteMessages))
	if b == nil {
		return
	}
	cur := b.Cursor()
	for k, _ := cur.First(); k != nil; k, _ = cur.Next() {
		id := string(k)
		c.row(&c.Messages, func() error {
			if c.Format < 2 {
				_, err := st.get(siteMessages, k)
				return err
			}
			m, err := st.message(id)
			if before := m.Message; err == nil && m.Command(pushsvc.CommandHold, time.Time{}) == nil {
				c.Held = append(c.Held, before)
			}
			return err
		})
		st.parts(id, c.report, func(int, rowFlags) bool { return true }, func(part) bool { return true })
		later := st.messageBucket(siteLater, id)
		if later.b == nil {
			continue
		}
		lc := later.b.Cursor()
		for k, _ := lc.Seek([]byte{laterByDue}); k != nil; k, _ = lc.Next() {
			if due, id, ok := openDueKey(k); !ok {
				c.report(later.damage(errors.New("a retry has a malformed key")))
			} else if r, there, err := later.retry(id); err != nil || !there || !r.Due.Equal(due) {
				c.report(errors.Join(later.damage(errors.New("a retry is damaged")), err))
			}
		}
	}
}

// Restore checks a backup completely and then replaces the store at path with it.
// No process may have either open. It returns the result of CheckFile for the
// backup.
//
//   - A former store is kept as path with ".replaced" at its end, and a number if
//     that
//     name is taken: Checked.Kept.
//   - The file belongs to the owner of the former file, or of its directory,
//     whichever user runs this.
//   - If the backup has damaged rows and damaged is false, nothing is changed and
//     ErrDamagedBackup is returned.
//
// ErrDamagedBackup is returned and nothing is changed.
func Restore(ctx context.Context, backup, path string, damaged bool) (Checked, error) {
	c, err := CheckFile(ctx, backup)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var damage *DamageError
	switch {
	case errors.As(err, &damage):
		return c, fmt.Errorf("restoring: %s %w: %w", backup, ErrNoBackup, damage.Err)
	case err != nil:
		return c, fmt.Errorf("restoring from a backup: %w", err)
	}
	if c.Damaged > 0 && !damaged {
		return c, fmt.Errorf("restoring from a backup: %w", ErrDamagedBackup)
	}
	if c.Kept, err = restore(ctx, backup, path); err != nil {
		return c, fmt.Errorf("restoring push store %s: %w", path, lockedError(err))
	}
	return c, nil
}

func restore(ctx context.Context, backup, path string) (kept string, err error) {
	if err := unused(path); err != nil {
		return "", err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(dir, compacting(path)+"*") // the next start removes it
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	err = errors.Join(copyFile(ctx, tmp, backup), giveAway(tmp, path, dir), tmp.Close())
	if err == nil {
		err = markCopied(tmp.Name())
	}
	if err != nil {
		return "", err
	}
	if kept, err = keep(path); err != nil {
		return "", err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return kept, err
	}
	return kept, syncDir(dir)
}

// giveAway changes the file's owner to the former file's, or the directory's: if
// root restores, Caddy must be able to read the file.
func giveAway(f *os.File, former, dir string) error {
	like, err := os.Stat(former)
	if errors.Is(err, fs.ErrNotExist) {
		if os.Geteuid() != 0 {
			return nil // the user's own first store, maybe in a shared directory
		}
		like, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if err := chownLike(f, like); err != nil {
		return fmt.Errorf("giving the file to the owner of the store (restore as the user that Caddy runs as): %w", err)
	}
	return nil
}

// CheckUnused returns an error if a process has the store at path open.
func CheckUnused(path string) error {
	if err := unused(path); err != nil {
		return fmt.Errorf("push store %s: %w", path, lockedError(err))
	}
	return nil
}

// unused checks that no process has the store open. A store that is too damaged
// to be opened counts as unused.
func unused(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, _, err := openBolt(path, bolt.Options{Timeout: offlineTimeout, ReadOnly: true})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return err
	case err != nil:
		return nil
	}
	return db.Close()
}

func copyFile(ctx context.Context, to *os.File, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	for err == nil {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(to, in, 8<<20)
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return to.Sync()
}

// keep links the present store, if any, to a second, unused name. The first one
// stays until the backup takes it.
func keep(path string) (kept string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	kept = path + ".replaced"
	for n := 2; ; n++ {
		if _, err := os.Lstat(kept); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		kept = fmt.Sprintf("%s.replaced-%d", path, n)
	}
	if err := os.Link(path, kept); err == nil {
		return kept, nil
	}
	return kept, os.Rename(path, kept) // a file system without hard links
}
