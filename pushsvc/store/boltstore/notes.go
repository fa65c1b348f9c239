package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Limits of a range's notes. More notes are dropped; then some pushes are sent
// twice after a crash, nothing else.
const (
	maxNotes    = 4 * pushsvc.MaxSettled
	maxNoteFile = 4 << 20
	// rewriteNotes is the largest number of bytes of stale notes in a file.
	rewriteNotes = 256 << 10
)

// notes are the outcomes that are in no checkpoint yet, in a file for each range
// next to the database. A write(2) without a sync survives the death of the
// process, which is enough for them.
//
// A file consists of records: length of the payload (4), CRC-32C of message,
// range
// and payload (4), payload. A torn record at its end is cut off. Outcomes that a
// checkpoint has applied since are recognised by their ids, so a file need not be
// cleared together with the database.
type notes struct {
	dir string

	mu   sync.Mutex
	open map[noteKey]*noteFile
}

type noteKey struct {
	site, message string
	n             int
}

// noteFile has one range's notes.
type noteFile struct {
	path string
	seed uint32

	mu       sync.Mutex
	loaded   bool
	file     *os.File // nil if it is not open
	size     int64    // of the whole records in the file
	outcomes map[pushsvc.SubscriptionID]pushsvc.Outcome
	epoch    int64 // of the lease; 0 is unknown
	gone     bool  // removed from notes.open
}

func newNotes(database string) *notes {
	return &notes{dir: database + ".notes", open: map[noteKey]*noteFile{}}
}

// prefix is the prefix of the names of a message's files.
func prefix(site, message string) string {
	sum := sha256.Sum256([]byte(site + "\x00" + message))
	return hex.EncodeToString(sum[:16]) + "."
}

func (n *notes) get(k noteKey) *noteFile {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.open[k]
	if f == nil {
		place := fmt.Sprintf("%s\x00%s\x00%d\x00", k.site, k.message, k.n)
		f = &noteFile{
			path: filepath.Join(n.dir, prefix(k.site, k.message)+strconv.Itoa(k.n)),
			seed: crc32.Checksum([]byte(place), castagnoli),
		}
		n.open[k] = f
	}
	return f
}

// lock returns the range's notes, locked and loaded. If the file can't be read,
// there are none.
func (n *notes) lock(r pushsvc.Range) *noteFile {
	for {
		f := n.get(noteKey{r.Site, r.MessageID, r.N})
		f.mu.Lock()
		if f.gone {
			f.mu.Unlock()
			continue
		}
		if !f.loaded {
			f.load()
		}
		return f
	}
}

// add appends outcomes. epoch reads the range's epoch if it is unknown.
func (n *notes) add(r pushsvc.Range, outcomes []pushsvc.Outcome, epoch func() (int64, error)) error {
	f := n.lock(r)
	defer f.mu.Unlock()
	if f.epoch == 0 {
		have, err := epoch()
		if err != nil {
			n.discard(f, r)
			return err
		}
		f.epoch = have
	}
	if r.Epoch != f.epoch || r.Epoch <= 0 {
		if f.epoch == 0 {
			n.discard(f, r)
		}
		return pushsvc.ErrLeaseLost
	}
	if len(outcomes) == 0 || len(f.outcomes) > maxNotes {
		return nil
	}
	for _, o := range outcomes {
		o.Due = o.Due.UTC().Truncate(time.Millisecond)
		f.outcomes[o.ID] = o
	}
	return f.append(outcomes)
}

// discard removes a file from memory whose range must not be noted in. The caller
// holds its lock.
func (n *notes) discard(f *noteFile, r pushsvc.Range) {
	f.shut()
	f.gone = true
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, noteKey{r.Site, r.MessageID, r.N})
}

// claimed stores the epoch and returns the noted outcomes, by rising id.
func (n *notes) claimed(p part) []pushsvc.Outcome {
	f := n.lock(p.Range)
	defer f.mu.Unlock()
	f.epoch = max(f.epoch, p.Epoch)
	return f.sorted()
}

// ofRange returns the noted outcomes of a range, by rising id.
func (n *notes) ofRange(r pushsvc.Range) []pushsvc.Outcome {
	f := n.lock(r)
	defer f.mu.Unlock()
	return f.sorted()
}

func (f *noteFile) sorted() []pushsvc.Outcome {
	var out []pushsvc.Outcome
	for _, id := range slices.Sorted(maps.Keys(f.outcomes)) {
		out = append(out, f.outcomes[id])
	}
	return out
}

// settled forgets outcomes that a checkpoint has applied. A file error only costs
// space: stale notes are recognised.
func (n *notes) settled(p part, outcomes []pushsvc.Outcome) {
	f := n.lock(p.Range)
	defer f.mu.Unlock()
	if p.Done {
		f.remove()
		n.discard(f, p.Range)
		return
	}
	if p.N == pushsvc.LaterRange && f.epoch > p.Epoch {
		// The range was released and claimed again before this call: the notes of
		// these ids may be the new owner's. It has ours too, and settles them.
		return
	}
	if p.N == pushsvc.LaterRange {
		for _, o := range outcomes {
			if note, ok := f.outcomes[o.ID]; ok && (note.Kind != pushsvc.OutcomeLater || note.Attempt <= o.Attempt || o.Kind != pushsvc.OutcomeLater) {
				delete(f.outcomes, o.ID)
			}
		}
	} else {
		maps.DeleteFunc(f.outcomes, func(id pushsvc.SubscriptionID, _ pushsvc.Outcome) bool { return p.IsSettled(id) })
	}
	f.shrink()
	if p.Owner == "" {
		f.shut()
	}
}

// forget removes all notes of a message.
func (n *notes) forget(site, message string) {
	n.part(func(k noteKey) bool { return k.site == site && k.message == message }, (*noteFile).remove)
	entries, _ := os.ReadDir(n.dir) // the next start removes what is left
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix(site, message)) {
			_ = os.Remove(filepath.Join(n.dir, e.Name()))
		}
	}
}

// sweep removes the files of messages that are not in wanted, by the prefixes of
// their names.
func (n *notes) sweep(wanted map[string]bool) error {
	entries, err := os.ReadDir(n.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for left-over notes: %w", err)
	}
	for _, e := range entries {
		begin, _, _ := strings.Cut(e.Name(), ".")
		if !e.IsDir() && !wanted[begin+"."] {
			if err := os.Remove(filepath.Join(n.dir, e.Name())); err != nil {
				return fmt.Errorf("removing left-over notes: %w", err)
			}
		}
	}
	return nil
}

func (n *notes) close() {
	n.part(func(noteKey) bool { return true }, (*noteFile).shut)
}

// part removes the files that which selects from memory and calls end for each.
func (n *notes) part(which func(noteKey) bool, end func(*noteFile)) {
	n.mu.Lock()
	var files []*noteFile
	for k, f := range n.open {
		if which(k) {
			files = append(files, f)
			delete(n.open, k)
		}
	}
	n.mu.Unlock()
	for _, f := range files {
		f.mu.Lock()
		end(f)
		f.gone = true
		f.mu.Unlock()
	}
}

// load reads the file. It drops everything after the first incomplete record; the
// next append cuts that off.
func (f *noteFile) load() {
	f.loaded, f.size = true, 0
	f.outcomes = map[pushsvc.SubscriptionID]pushsvc.Outcome{}
	file, err := os.Open(f.path)
	if err != nil {
		return
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxNoteFile))
	if err != nil {
		return
	}
	for unread := data; ; {
		outcomes, next, ok := openRecord(f.seed, unread)
		if !ok {
			return
		}
		for _, o := range outcomes {
			f.outcomes[o.ID] = o
		}
		f.size += int64(len(unread) - len(next))
		unread = next
	}
}

// openRecord reads the first record.
func openRecord(seed uint32, p []byte) (outcomes []pushsvc.Outcome, tail []byte, ok bool) {
	if len(p) < 8 {
		return nil, nil, false
	}
	n := uint64(binary.BigEndian.Uint32(p))
	if n > uint64(len(p)-8) {
		return nil, nil, false
	}
	payload := p[8:][:n]
	if crc32.Update(seed, castagnoli, payload) != binary.BigEndian.Uint32(p[4:]) {
		return nil, nil, false
	}
	outcomes, err := unpackOutcomes(payload)
	return outcomes, p[8+n:], err == nil
}

// append writes a record with one call, so that it is complete or torn at the
// end. After a failure the file is restored, or is no longer used.
func (f *noteFile) append(outcomes []pushsvc.Outcome) error {
	if f.file == nil {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
			return err
		}
		file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := file.Truncate(f.size); err != nil { // a torn record
			_ = file.Close()
			return err
		}
		f.file = file
	}
	p := packOutcomes(make([]byte, 8, 8+16*len(outcomes)), outcomes)
	if f.size+int64(len(p)) > maxNoteFile {
		return nil
	}
	binary.BigEndian.PutUint32(p, uint32(len(p)-8))
	binary.BigEndian.PutUint32(p[4:], crc32.Update(f.seed, castagnoli, p[8:]))
	if _, err := f.file.WriteAt(p, f.size); err != nil {
		// The next record overwrites what was written of this one.
		return err
	}
	f.size += int64(len(p))
	return nil
}

// shrink rewrites the file if most of it is stale.
func (f *noteFile) shrink() {
	if f.size == 0 || len(f.outcomes) > 0 && f.size < rewriteNotes {
		return
	}
	if len(f.outcomes) == 0 {
		if f.file != nil && f.file.Truncate(0) == nil {
			f.size = 0
		} else if f.file == nil && os.Remove(f.path) == nil {
			f.size = 0
		}
		return
	}
	// Write a new file and rename it: if killed in between, the old one is still
	// there.
	size, file := f.size, f.file
	next := &noteFile{path: f.path + ".new", seed: f.seed}
	_ = os.Remove(next.path)
	err := next.append(f.sorted())
	if err == nil {
		err = os.Rename(next.path, f.path)
	}
	if err != nil {
		next.shut()
		f.size, f.file = size, file
		return
	}
	f.shut()
	f.size, f.file = next.size, next.file
}

func (f *noteFile) shut() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}

func (f *noteFile) remove() {
	f.shut()
	_ = os.Remove(f.path) // else the next start removes it
}

// packOutcomes appends outcomes: kind (1), id, attempt, due in milliseconds,
// length of the reason, reason.
func packOutcomes(p []byte, outcomes []pushsvc.Outcome) []byte {
	for _, o := range outcomes {
		p = append(p, byte(o.Kind))
		p = binary.AppendUvarint(p, uint64(o.ID))
		p = binary.AppendUvarint(p, uint64(max(o.Attempt, 0)))
		p = appendTime(p, o.Due, time.Millisecond)
		p = binary.AppendUvarint(p, uint64(len(o.Reason)))
		p = append(p, o.Reason...)
	}
	return p
}

func unpackOutcomes(payload []byte) (out []pushsvc.Outcome, err error) {
	r := reader{unread: payload}
	for len(r.unread) > 0 {
		o := pushsvc.Outcome{Kind: pushsvc.OutcomeKind(r.byte()), ID: pushsvc.SubscriptionID(r.uvarint())}
		o.Attempt = int(r.uvarint())
		o.Due = r.time(time.Millisecond)
		o.Reason = string(r.text())
		if !o.Kind.Known() {
			r.bad = true
		}
		if r.bad {
			return nil, errors.New("the record is malformed")
		}
		out = append(out, o)
	}
	return out, nil
}
