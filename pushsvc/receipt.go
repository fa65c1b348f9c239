package pushsvc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// ReceiptKind is what happened to a notification.
type ReceiptKind string

// What a worker reports.
const (
	ReceiptShown   ReceiptKind = "shown"
	ReceiptClicked ReceiptKind = "clicked"
	ReceiptClosed  ReceiptKind = "closed"
)

// Receipt is one worker's report on a message, already authenticated.
type Receipt struct {
	Subscription SubscriptionID
	Kind         ReceiptKind
}

// MaxReceiptToken is the maximum length of a receipt token in characters.
const MaxReceiptToken = 32

// tokenMAC is the length of a receipt token's MAC in bytes: 80 bits can't be guessed, and keep the payload
// small.
const tokenMAC = 10

// ReceiptToken returns the token with which one recipient of one message reports: its subscription id and a
// MAC over site, message and id, in base64url. So receipts count once per recipient, and not for strangers.
func ReceiptToken(secret []byte, site, message string, id SubscriptionID) string {
	raw := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+tokenMAC), uint64(id))
	raw = append(raw, receiptMAC(secret, site, message, id)...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func receiptMAC(secret []byte, site, message string, id SubscriptionID) []byte {
	mac := hmac.New(sha256.New, secret)
	// Both texts have their length in front, so that the encoding is unambiguous.
	var b []byte
	b = binary.AppendUvarint(b, uint64(len(site)))
	b = append(b, site...)
	b = binary.AppendUvarint(b, uint64(len(message)))
	b = append(b, message...)
	b = binary.AppendUvarint(b, uint64(id))
	mac.Write(b)
	return mac.Sum(nil)[:tokenMAC]
}

// OpenReceiptToken returns the subscription id of a token, or false if ReceiptToken did not make it for this
// site and message.
func OpenReceiptToken(secret []byte, site, message, token string) (SubscriptionID, bool) {
	if len(token) > MaxReceiptToken {
		return 0, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	v, n := binary.Uvarint(raw)
	if n <= 0 || len(raw) != n+tokenMAC {
		return 0, false
	}
	id := SubscriptionID(v)
	return id, hmac.Equal(raw[n:], receiptMAC(secret, site, message, id))
}

// PopupToken returns the token with which a browser that got a pop-up reports, so that no other browser can:
// a MAC over site, pop-up, variant and the browser's line, in base64url. It stays valid when the cookie is
// replaced.
func PopupToken(secret []byte, site, popup, variant string, line DeviceID) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(macText("popup", site, popup, variant, string(line[:])))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:tokenMAC])
}

// CheckPopupToken reports whether PopupToken made the token for these.
func CheckPopupToken(secret []byte, site, popup, variant string, line DeviceID, token string) bool {
	return hmac.Equal([]byte(token), []byte(PopupToken(secret, site, popup, variant, line)))
}

// Receive counts a new receipt; false if its kind is not known.
func (p *Progress) Receive(kind ReceiptKind) bool {
	switch kind {
	case ReceiptShown:
		p.Shown++
	case ReceiptClicked:
		p.Clicked++
	case ReceiptClosed:
		p.Closed++
	default:
		return false
	}
	return true
}
