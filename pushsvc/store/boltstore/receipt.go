package boltstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// AddReceipts implements pushsvc.MessageStore.
func (s *Store) AddReceipts(ctx context.Context, name, id string, receipts []pushsvc.Receipt) (int, error) {
	if len(receipts) == 0 {
		return 0, ctx.Err()
	}
	n, err := write(ctx, s, func(w *writeTx) (int, error) { return w.addReceipts(name, id, receipts) })
	if err != nil {
		return 0, fmt.Errorf("storing receipts of message %q of %s: %w", id, name, err)
	}
	return n, nil
}

func (w *writeTx) addReceipts(name, id string, receipts []pushsvc.Receipt) (added int, err error) {
	st, ok := openSite(w.tx, name)
	if !ok {
		return 0, nil
	}
	if err := w.pullMessage(st, id); err != nil {
		return 0, err
	}
	m, err := st.message(id)
	if err != nil {
		if errors.Is(err, pushsvc.ErrNotFound) {
			err = nil
		}
		return 0, err
	}
	for _, r := range receipts {
		kind := kindByte(r.Kind)
		if kind == 0 {
			continue
		}
		isNew, err := w.addReceipt(st, id, r, kind)
		if err != nil {
			return 0, err
		}
		if isNew && m.Progress.Receive(r.Kind) {
			added++
		}
	}
	if added == 0 {
		return 0, nil
	}
	return added, st.putProgress(w, m)
}

// addReceipt reports whether the receipt is new.
func (w *writeTx) addReceipt(st site, id string, r pushsvc.Receipt, kind byte) (bool, error) {
	key := append([]byte{kind}, idKey(r.Subscription)...)
	if all := st.b.Bucket([]byte(siteReceipts)); all != nil {
		if b := all.Bucket([]byte(id)); b != nil && b.Get(key) != nil {
			return false, nil
		}
	}
	all, err := w.bucket(st.b, siteReceipts)
	if err != nil {
		return false, err
	}
	b, err := w.bucket(all, id)
	if err != nil {
		return false, err
	}
	return true, w.put(b, key, []byte{1})
}

// kindByte returns the kind's byte in a key; zero for an unknown kind.
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
