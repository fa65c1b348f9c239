package service

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Report is one beacon of a worker: an event of a notification.
type Report struct {
	Type    pushsvc.ReceiptKind `json:"type" api:"required"`
	Message string              `json:"message" api:"required,of=shown!|clicked!|closed!"`
	Token   string              `json:"token" api:"required,of=shown!|clicked!|closed!|popup!"`
	// Action is the pressed button; empty means the notification.
	Action string `json:"action" api:"of=clicked"`
	// Time is the time of the event, in milliseconds since 1970 by the browser's
	// clock.
	Time float64 `json:"time" api:"of=*"`
}

// MaxReports is how many reports one beacon may carry.
const MaxReports = 200

// Track counts workers' reports. It ignores invalid ones without an error: a
// forger learns nothing.
func (s *Service) Track(ctx context.Context, site string, reports []Report) error {
	if len(reports) > MaxReports {
		return &pushsvc.FieldError{Field: "events", Problem: fmt.Sprintf("has more than %d entries", MaxReports)}
	}
	secret, err := s.live().Secret(ctx)
	if err != nil {
		return err
	}
	receipts := map[string][]pushsvc.Receipt{} // by message
	for i, r := range reports {
		switch r.Type {
		case pushsvc.ReceiptShown, pushsvc.ReceiptClicked, pushsvc.ReceiptClosed:
		default:
			return &pushsvc.FieldError{Field: fmt.Sprintf("events[%d].type", i), Problem: `must be "shown", "clicked" or "closed"`}
		}
		for _, name := range s.signedFor(site) {
			if id, ok := pushsvc.OpenReceiptToken(secret, name, r.Message, r.Token); ok {
				receipts[r.Message] = append(receipts[r.Message], pushsvc.Receipt{Subscription: id, Kind: r.Type})
				break
			}
		}
	}
	if len(receipts) == 0 {
		return nil
	}
	if err := s.room(ctx, subscribed); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(receipts)) {
		if _, err := s.Store.AddReceipts(ctx, site, id, receipts[id]); err != nil {
			return fmt.Errorf("counting receipts: %w", err)
		}
	}
	return nil
}
