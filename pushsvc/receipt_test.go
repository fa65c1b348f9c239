package pushsvc_test

import (
	"math"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

var (
	receiptSecret = []byte("0123456789abcdef0123456789abcdef")
	messageID     = "01935a00-0001-7000-8000-000000000000"
)

func TestReceiptToken(t *testing.T) {
	for _, id := range []pushsvc.SubscriptionID{0, 1, 127, 128, 1 << 20, math.MaxUint64} {
		token := pushsvc.ReceiptToken(receiptSecret, "a.example", messageID, id)
		if len(token) > pushsvc.MaxReceiptToken {
			t.Errorf("token of %d has %d characters", id, len(token))
		}
		if got, ok := pushsvc.OpenReceiptToken(receiptSecret, "a.example", messageID, token); !ok || got != id {
			t.Errorf("token of %d opens to %d, %v", id, got, ok)
		}
	}
}

// TestReceiptTokenForged changes one thing at a time.
func TestReceiptTokenForged(t *testing.T) {
	token := pushsvc.ReceiptToken(receiptSecret, "a.example", messageID, 300)
	flipped := []byte(token)
	flipped[5] ^= 1
	for _, tt := range []struct {
		name, site, message, token string
		secret                     []byte
	}{
		{"other secret", "a.example", messageID, token, []byte("another secret of thirty-two byt")},
		{"other site", "b.example", messageID, token, receiptSecret},
		{"other message", "a.example", messageID + "1", token, receiptSecret},
		{"border moved", "a.exampl", "e" + messageID, token, receiptSecret},
		{"bit flipped", "a.example", messageID, string(flipped), receiptSecret},
		{"cut short", "a.example", messageID, token[:len(token)-2], receiptSecret},
		{"longer", "a.example", messageID, token + "AA", receiptSecret},
		{"empty", "a.example", messageID, "", receiptSecret},
		{"mac of nothing", "a.example", messageID, "AAAAAAAAAAAAAAA", receiptSecret},
		{"padding", "a.example", messageID, token + "==", receiptSecret},
		{"not base64", "a.example", messageID, "!" + token[1:], receiptSecret},
		{"huge", "a.example", messageID, token + token + token, receiptSecret},
	} {
		if id, ok := pushsvc.OpenReceiptToken(tt.secret, tt.site, tt.message, tt.token); ok {
			t.Errorf("%s: opens to %d", tt.name, id)
		}
	}
}

// FuzzReceiptToken: whatever opens was made for exactly this id.
func FuzzReceiptToken(f *testing.F) {
	f.Add(pushsvc.ReceiptToken(receiptSecret, "a.example", messageID, 300))
	f.Add("")
	f.Add("gICAgICAgICAgICA")
	f.Fuzz(func(t *testing.T, token string) {
		id, ok := pushsvc.OpenReceiptToken(receiptSecret, "a.example", messageID, token)
		if !ok {
			return
		}
		if _, ok := pushsvc.OpenReceiptToken(receiptSecret, "a.example", messageID, pushsvc.ReceiptToken(receiptSecret, "a.example", messageID, id)); !ok || len(token) < 15 {
			t.Errorf("%q opens to %d", token, id)
		}
	})
}
