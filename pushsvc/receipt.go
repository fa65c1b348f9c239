package pushsvc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// ReceiptKind is what became of a notification.
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

// MaxReceiptToken is the longest receipt token in characters.
const MaxReceiptToken = 32

// tokenMAC is the length of a receipt token's MAC in bytes: 80 bits, so that
// guessing one is hopeless and the payload stays small.
const tokenMAC = 10

// ReceiptToken is what one recipient of one message reports with: its
// subscription id and a MAC over site, message and id, in base64url. It lets
// receipts be counted once per recipient and not at all for strangers.
func ReceiptToken(secret []byte, site, message string, id SubscriptionID) string {
	raw := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+tokenMAC), uint64(id))
	raw = append(raw, receiptMAC(secret, site, message, id)...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func receiptMAC(secret []byte, site, message string, id SubscriptionID) []byte {
	mac := hmac.New(sha256.New, secret)
	// Lengths in front of both texts, so that no two triples look alike.
	var b []byte
	b = binary.AppendUvarint(b, uint64(len(site)))
	b = append(b, site...)
	b = binary.AppendUvarint(b, uint64(len(message)))
	b = append(b, message...)
	b = binary.AppendUvarint(b, uint64(id))
	mac.Write(b)
	return mac.Sum(nil)[:tokenMAC]
}

// OpenReceiptToken gives the subscription id of a token, or false where the
// token is not one that ReceiptToken made for this site and message.
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

// PopupToken is what a browser that was given a pop-up reports with, so that
// nobody else can count as having seen it: a MAC over site, pop-up, variant and
// the browser's line, in base64url. It stays good when the cookie is replaced.
func PopupToken(secret []byte, site, popup, variant string, line DeviceID) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(macText("popup", site, popup, variant, string(line[:])))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:tokenMAC])
}

// CheckPopupToken says whether PopupToken made the token for these.
func CheckPopupToken(secret []byte, site, popup, variant string, line DeviceID, token string) bool {
	return hmac.Equal([]byte(token), []byte(PopupToken(secret, site, popup, variant, line)))
}

// Receive counts a receipt that is new; false where its kind is not known.
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
