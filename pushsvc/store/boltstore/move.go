package boltstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// bucketMoves is at the top of the file: another name of a site → length (2) ·
// the site's name · JSON. Older files have none; older programs ignore it and
// treat the other name as a site.
const bucketMoves = "moves"

// moveRow is a move and its progress: the rows of the phase are moved up to the
// key After. Moved rows also stay at their old place until the end, when all of
// them are removed at once.
type moveRow struct {
	pushsvc.SiteMove
	Phase movePhase `json:"phase,omitempty"`
	After []byte    `json:"after,omitempty"`
	// Held means that the store has been restored since: waiting messages are
	// held.
	Held bool `json:"held,omitempty"`
	// Messages maps old message ids to new ones.
	Messages map[string]string `json:"messages,omitempty"`
}

// current returns the present name of a site.
func current(tx *bolt.Tx, name string) string {
	b := tx.Bucket([]byte(bucketMoves))
	if b == nil || name == "" {
		return name
	}
	v := b.Get([]byte(name))
	if v == nil {
		return name
	}
	p, err := newSeed(bucketMoves, "").unseal([]byte(name), v)
	if err != nil || len(p) < 2 || len(p)-2 < int(binary.BigEndian.Uint16(p)) {
		return name
	}
	return string(p[2 : 2+binary.BigEndian.Uint16(p)])
}

// readMove returns a move; false if the name is no site's other name.
func readMove(tx *bolt.Tx, from string) (m moveRow, there bool, err error) {
	b := tx.Bucket([]byte(bucketMoves))
	if b == nil || from == "" {
		return m, false, nil
	}
	v := b.Get([]byte(from))
	if v == nil {
		return m, false, nil
	}
	p, err := newSeed(bucketMoves, "").unseal([]byte(from), v)
	if err == nil && (len(p) < 2 || len(p)-2 < int(binary.BigEndian.Uint16(p)) || json.Unmarshal(p[2+binary.BigEndian.Uint16(p):], &m) != nil) {
		err = errors.New("the row is malformed")
	}
	if err != nil {
		return m, false, site{name: from}.damage(bucketMoves, nil, err)
	}
	return m, true, nil
}

func (w *writeTx) putMove(m moveRow) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding the move of a site: %w", err)
	}
	b := w.tx.Bucket([]byte(bucketMoves))
	if b == nil {
		w.touched = true
		if b, err = w.tx.CreateBucket([]byte(bucketMoves)); err != nil {
			return fmt.Errorf("making bucket %q: %w", bucketMoves, err)
		}
	}
	p := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(m.Into)+len(text)), uint16(len(m.Into)))
	p = append(append(p, m.Into...), text...)
	return w.put(b, []byte(m.From), newSeed(bucketMoves, "").seal([]byte(m.From), p))
}

func (w *writeTx) deleteMove(from string) error {
	return w.delete(w.tx.Bucket([]byte(bucketMoves)), []byte(from))
}

// moves lists all moves, by From. It reports and skips a damaged one.
func moves(tx *bolt.Tx, report func(error)) (all []moveRow) {
	b := tx.Bucket([]byte(bucketMoves))
	if b == nil {
		return nil
	}
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		m, there, err := readMove(tx, string(k))
		if err != nil {
			report(err)
		}
		if there {
			all = append(all, m)
		}
	}
	return all
}

// allMoves returns what the rules need of them.
func (w *writeTx) allMoves() (all []pushsvc.SiteMove) {
	for _, m := range moves(w.tx, w.s.report) {
		all = append(all, m.SiteMove)
	}
	return all
}

// Moves implements pushsvc.SiteStore.
func (s *Store) Moves(ctx context.Context) ([]pushsvc.SiteMove, error) {
	all, err := read(ctx, s, func(tx *bolt.Tx) (all []pushsvc.SiteMove, err error) {
		for _, m := range moves(tx, s.report) {
			all = append(all, m.SiteMove)
		}
		return all, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing other names of sites: %w", err)
	}
	return all, nil
}

// noteMoves caches which sites have rows moving in, and from where.
func (s *Store) noteMoves(tx *bolt.Tx) {
	running := map[string][]string{}
	for _, m := range moves(tx, s.report) {
		if m.Running {
			running[m.Into] = append(running[m.Into], m.From)
		}
	}
	s.moving.Store(&running)
}

// coming returns the names whose rows are being moved to the site.
func (s *Store) coming(into string) []string {
	if running := s.moving.Load(); running != nil {
		return (*running)[into]
	}
	return nil
}

// unmoved returns ErrSiteMoving if rows are being moved to the site.
func (w *writeTx) unmoved(name string) error {
	if len(w.s.coming(current(w.tx, name))) > 0 {
		return pushsvc.ErrSiteMoving
	}
	return nil
}

// between runs fn in the committer, in its own transaction: a bucket that has
// been changed in the same transaction can't be moved.
func (s *Store) between(ctx context.Context, fn func(w *writeTx) error) error {
	if err := s.takeGate(); err != nil {
		return err
	}
	defer s.gate.RUnlock()
	return s.await(&op{ctx: ctx, done: make(chan struct{}), alone: func() error {
		o := &op{ctx: context.Background(), done: make(chan struct{}), run: fn}
		if _, err := s.attempt([]*op{o}); err != nil {
			return err
		}
		if o.err != nil {
			return o.err
		}
		tx, err := s.beginTx(false)
		if err != nil {
			return err
		}
		defer s.rollback(tx)
		return catch(func() error { s.noteMoves(tx); return nil })
	}})
}

// BeginMove implements pushsvc.SiteStore.
func (s *Store) BeginMove(ctx context.Context, from, into string, at time.Time) (pushsvc.SiteMove, error) {
	var m moveRow
	err := s.between(ctx, func(w *writeTx) (err error) {
		m, err = w.beginMove(from, into, at)
		return err
	})
	if err != nil {
		return pushsvc.SiteMove{}, fmt.Errorf("giving site %s the name %s: %w", from, into, err)
	}
	return m.SiteMove, nil
}

func (w *writeTx) beginMove(from, into string, at time.Time) (m moveRow, err error) {
	m, begun, err := w.newMove(from, into, at)
	if err != nil {
		return m, err
	}
	if begun {
		m, _, err = readMove(w.tx, from)
		return m, err
	}
	for _, other := range moves(w.tx, w.s.report) {
		into := other.Into
		switch stays := m.Redirect(&other.SiteMove); {
		case !stays:
			err = w.deleteMove(other.From)
		case other.Into != into:
			err = w.putMove(other)
		}
		if err != nil {
			return m, err
		}
	}
	w.changed = pushsvc.ChangedAll &^ pushsvc.ChangedKeys
	return m, errors.Join(w.moveSettings(&m), w.movePopups(&m), w.reserveIDs(&m), w.putMove(m))
}

// newMove checks that the site exists, that no engine works on it, and that both
// sites together are within the limits. It changes nothing. begun is true if the
// move has begun already.
func (w *writeTx) newMove(from, into string, at time.Time) (m moveRow, begun bool, err error) {
	there := false
	for _, top := range siteTops {
		_, ok := rawIn(w.tx, top, from)
		there = there || ok
	}
	var unfinished []pushsvc.Message
	eachUnfinished(w.tx, "", w.s.report, func(st site, id string) bool {
		if st.name == from || st.name == into {
			row, err := st.message(id)
			if err != nil { // it comes along as it is
				row.Message = pushsvc.Message{ID: id, Site: st.name}
			}
			unfinished = append(unfinished, row.Message)
		}
		return true
	})
	if m.SiteMove, begun, err = pushsvc.NewMove(w.allMoves(), from, into, at, there, unfinished); err != nil || begun {
		return m, begun, err
	}
	var uploads [2][]string
	for i, name := range []string{into, from} {
		if st, ok := rawIn(w.tx, bucketPopups, name); ok {
			st.each(popupUploads, func(k []byte) { uploads[i] = append(uploads[i], string(k)) })
		}
	}
	_, errUploads := popup.JoinUploads(uploads[0], uploads[1])
	_, _, err = w.joinPopups(&m)
	return m, false, errors.Join(errUploads, err)
}

// moveSettings copies the settings that the other name does not have.
func (w *writeTx) moveSettings(m *moveRow) error {
	have, incoming := w.settingsOf(m.Into), w.settingsOf(m.From)
	for _, row := range pushsvc.JoinSettings(have, incoming) {
		if row.Revision == 0 { // it is damaged
			continue
		}
		row.Site = m.Into
		if _, err := w.putSetting(row, pushsvc.AnyRevision); err != nil {
			return err
		}
		m.Moved.Settings++
	}
	return nil
}

// settingsOf returns the settings of a site; of a damaged one, which it reports,
// only the name.
func (w *writeTx) settingsOf(name string) (rows []pushsvc.Setting) {
	st, ok := rawIn(w.tx, bucketSettings, name)
	if !ok {
		return nil
	}
	c := st.b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		row, err := readSetting(w.tx, name, string(k))
		if err != nil {
			w.s.report(err)
			row.Name = string(k)
		}
		rows = append(rows, row)
	}
	return rows
}

func (w *writeTx) joinPopups(m *moveRow) (put []popup.Stored, renamed map[string]string, err error) {
	var rows [2][]popup.Stored
	for i, name := range []string{m.Into, m.From} {
		if st, ok := rawIn(w.tx, bucketPopups, name); ok {
			st.each(popupRows, func(k []byte) {
				row, err := st.storedPopup(string(k))
				if err != nil {
					w.s.report(err)
					return
				}
				rows[i] = append(rows[i], row)
			})
		}
	}
	return popup.Join(rows[0], rows[1])
}

func (w *writeTx) movePopups(m *moveRow) error {
	put, renamed, err := w.joinPopups(m)
	if err != nil {
		return err
	}
	for _, p := range put {
		p.Site = m.Into
		if _, err := w.putPopup(p, pushsvc.AnyRevision); err != nil {
			return err
		}
	}
	m.Popups, m.Moved.Popups = renamed, int64(len(put))
	return nil
}

// reserveIDs makes room among the ids for the incoming subscriptions, so that
// their distances stay the same. It takes waiting messages from the engines until
// the rows have arrived.
func (w *writeTx) reserveIDs(m *moveRow) error {
	from, ok := rawIn(w.tx, bucketSites, m.From)
	if !ok {
		return nil
	}
	into, err := w.makeSite(m.Into)
	if err != nil {
		return err
	}
	n := into.counts(w.s.report)
	subs, err := w.bucket(into.b, siteSubs)
	if err != nil {
		return err
	}
	last := uint64(from.lastID())
	if b := from.b.Bucket([]byte(siteSubs)); b != nil {
		last = max(last, b.Sequence())
	}
	m.Base = pushsvc.SubscriptionID(subs.Sequence())
	if err := errors.Join(subs.SetSequence(subs.Sequence()+last), into.putCounts(w, n)); err != nil {
		return err
	}
	var waiting []string
	eachUnfinished(w.tx, "", w.s.report, func(st site, id string) bool {
		if st.name == m.From {
			waiting = append(waiting, id)
		}
		return true
	})
	for _, id := range waiting {
		if err := w.deleteUnfinished(id, m.From); err != nil {
			return err
		}
	}
	return nil
}

// endMove leaves the rest of the other name to Sweep.
func (w *writeTx) endMove(m *moveRow) error {
	removed, err := w.removal()
	if err != nil {
		return err
	}
	m.Running, m.Phase, m.After, m.Messages = false, moveEnded, nil, nil
	return errors.Join(tops(w.tx, m.From, func(top string, st site) error { return w.moveOut(removed, top, st) }), w.putMove(*m))
}

// forgetMoves removes the other names that end with sites, and returns which of
// the names were only other names.
func (w *writeTx) forgetMoves(names []string) (aliases map[string]bool, err error) {
	gone, err := pushsvc.ForgetMoves(w.allMoves(), names)
	aliases = map[string]bool{}
	for _, m := range gone {
		w.changed |= pushsvc.ChangedSites
		aliases[m.From] = true
		err = errors.Join(err, w.deleteMove(m.From))
	}
	return aliases, err
}

// movesAt returns the moves to a site that are in progress.
func (w *writeTx) movesAt(st site) (all []*moveRow) {
	for _, from := range w.s.coming(st.name) {
		m, there, err := readMove(w.tx, from)
		if err != nil {
			w.s.report(err)
		}
		if there && m.Running {
			all = append(all, &m)
		}
	}
	slices.SortFunc(all, func(a, b *moveRow) int { return a.Begun.Compare(b.Begun) })
	return all
}
