package boltstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// AddReceipts implements pushsvc.MessageStore.
func (s *Store) AddReceipts(ctx context.Context, name string, receipts []pushsvc.Receipt) (int, error) {
	if len(receipts) == 0 {
		return 0, ctx.Err()
	}
	n, err := write(ctx, s, func(w *writeTx) (int, error) { return w.addReceipts(name, receipts) })
	if err != nil {
		return 0, fmt.Errorf("storing receipts of %s: %w", name, err)
	}
	return n, nil
}

func (w *writeTx) addReceipts(name string, receipts []pushsvc.Receipt) (int, error) {
	st, ok := openSite(w.tx, name)
	if !ok {
		return 0, nil
	}
	if err := w.pullMessages(st, receipts); err != nil {
		return 0, err
	}
	messages, err := st.receivers(receipts)
	if err != nil {
		return 0, err
	}
	added := 0
	changed := map[string]bool{}
	for _, r := range receipts {
		m, kind := messages[r.MessageID], kindByte(r.Kind)
		if m == nil || kind == 0 {
			continue
		}
		isNew, err := w.addReceipt(st, r, kind)
		if err != nil {
			return 0, err
		}
		if isNew && m.Progress.Receive(r.Kind) {
			added++
			changed[r.MessageID] = true
		}
	}
	for id := range changed {
		if err := st.putProgress(w, *messages[id]); err != nil {
			return 0, err
		}
	}
	return added, nil
}

// receivers reads the messages that the receipts are for; those that the site
// does not have are missing in the result.
func (s site) receivers(receipts []pushsvc.Receipt) (map[string]*message, error) {
	out := map[string]*message{}
	for _, r := range receipts {
		if _, ok := out[r.MessageID]; ok {
			continue
		}
		m, err := s.message(r.MessageID)
		switch {
		case errors.Is(err, pushsvc.ErrNotFound):
			out[r.MessageID] = nil
		case err != nil:
			return nil, err
		default:
			out[r.MessageID] = &m
		}
	}
	return out, nil
}

// addReceipt says whether the receipt is new.
func (w *writeTx) addReceipt(st site, r pushsvc.Receipt, kind byte) (bool, error) {
	key := append([]byte{kind}, idKey(r.Subscription)...)
	if all := st.b.Bucket([]byte(siteReceipts)); all != nil {
		if b := all.Bucket([]byte(r.MessageID)); b != nil && b.Get(key) != nil {
			return false, nil
		}
	}
	all, err := w.bucket(st.b, siteReceipts)
	if err != nil {
		return false, err
	}
	b, err := w.bucket(all, r.MessageID)
	if err != nil {
		return false, err
	}
	return true, w.put(b, key, []byte{1})
}

// kindByte is the kind in a key; zero is none that we know.
func kindByte(k pushsvc.ReceiptKind) byte {
	switch k {
	case pushsvc.ReceiptShown:
		return 1
	case pushsvc.ReceiptClicked:
		return 2
	case pushsvc.ReceiptClosed:
		return 3
	}
	return 0
}
