package boltstore

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

func TestPackSubscription(t *testing.T) {
	full := realistic(7)
	full.Expiration = time.UnixMilli(1_800_000_000_123).UTC()
	old := realistic(8)
	old.Created, old.Seen, old.Expiration = time.Unix(-5, 0).UTC(), time.Unix(0, 0).UTC(), time.UnixMilli(math.MaxInt32*100_000).UTC()
	firefox := realistic(9)
	firefox.Endpoint = "https://updates.push.services.mozilla.com/wpush/v2/gAAA"
	doubted := realistic(12)
	doubted.Doubted = time.Unix(1_800_000_000, 0).UTC()
	topics := doubted
	topics.Topics = []string{"deals", "news"}
	linked := topics
	linked.Device = pushsvc.DeviceID{1, 2, 3}
	device := realistic(14)
	device.Device = pushsvc.DeviceID{4}
	none := realistic(13)
	none.Topics = []string{}
	prefix := realistic(10)
	prefix.Endpoint = endpointPrefixes[1]
	unknown := realistic(11)
	unknown.Endpoint = "https://push.example/\xff\x00"
	for name, s := range map[string]pushsvc.Subscription{
		"full": full, "old": old, "empty": {}, "firefox": firefox, "doubted": doubted, "topics": topics, "device": device, "doubt, topics and device": linked, "none of the topics": none, "prefix alone": prefix, "other service": unknown,
	} {
		s.Site = ""
		var got pushsvc.Subscription
		if err := unpackSubscription(packSubscription(&s), &got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestSeal(t *testing.T) {
	seed, key, payload := newSeed("bucket", "site"), []byte("key"), []byte("payload")
	row := seed.seal(key, payload)
	if got, err := seed.unseal(key, row); err != nil || !bytes.Equal(got, payload) {
		t.Fatalf("%q, %v", got, err)
	}
	for bit := range len(row) * 8 {
		row[bit/8] ^= 1 << (bit % 8)
		if _, err := seed.unseal(key, row); err == nil {
			t.Errorf("bit %d: not noticed", bit)
		}
		row[bit/8] ^= 1 << (bit % 8)
	}
	for n := range row {
		if _, err := seed.unseal(key, row[:n]); err == nil {
			t.Errorf("cut to %d bytes: not noticed", n)
		}
	}
	for name, other := range map[string]placed{
		"bucket": {newSeed("bucket2", "site"), "key"}, "site": {newSeed("bucket", "site2"), "key"},
		"border": {newSeed("buckets", "ite"), "key"}, "key": {seed, "kez"}, "shorter key": {seed, "ke"},
	} {
		if _, err := other.seed.unseal([]byte(other.key), row); err == nil {
			t.Errorf("a row of another %s was believed", name)
		}
	}
}

type placed struct {
	seed seed
	key  string
}

func FuzzUnpackSubscription(f *testing.F) {
	s := realistic(1)
	s.Expiration = time.UnixMilli(1)
	f.Add(packSubscription(&s))
	s.Topics, s.Doubted = []string{"news", ""}, time.Unix(1, 0)
	f.Add(packSubscription(&s))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var s, again pushsvc.Subscription
		if unpackSubscription(payload, &s) != nil {
			return
		}
		if err := unpackSubscription(packSubscription(&s), &again); err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%+v packs and unpacks to %+v, %v", s, again, err)
		}
	})
}

func FuzzUnpackMessage(f *testing.F) {
	row, err := packMessage(pushsvc.Message{Content: pushsvc.Content{Title: "x", Data: []byte("{}")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Add([]byte{3, '{', '}'})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var m pushsvc.Message
		if unpackMessage(payload, &m) != nil {
			return
		}
		if _, err := packMessage(m); err != nil {
			t.Logf("can't be packed again: %v", err) // a year after 9999
		}
	})
}

func FuzzUnpackRange(f *testing.F) {
	p := part{Last: [8]byte{1}}
	p.Done = true
	p.Owner, p.Epoch, p.Cursor, p.Until, p.Lease = "engine", 7, 100, 200, time.Unix(5, 6)
	p.Settled = []pushsvc.SubscriptionID{101, 150}
	f.Add(packRange(p))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var p, again part
		if unpackRange(payload, &p) != nil {
			return
		}
		if err := unpackRange(packRange(p), &again); err != nil || !cmp.Equal(p.Range, again.Range) || p.Last != again.Last {
			t.Errorf("%+v packs and unpacks to %+v, %v", p, again, err)
		}
	})
}

func FuzzOpenRecord(f *testing.F) {
	all := []pushsvc.Outcome{{ID: 7, Kind: pushsvc.OutcomeAccepted}, {ID: 8, Kind: pushsvc.OutcomeLater, Reason: "busy", Attempt: 3, Due: time.UnixMilli(99)}}
	f.Add(packOutcomes(nil, all))
	f.Fuzz(func(t *testing.T, payload []byte) {
		out, err := unpackOutcomes(payload)
		if err == nil {
			again, err := unpackOutcomes(packOutcomes(nil, out))
			if err != nil || !cmp.Equal(out, again) {
				t.Errorf("%+v packs and unpacks to %+v, %v", out, again, err)
			}
		}
		if _, _, ok := openRecord(1, payload); ok {
			t.Log("a record with a checksum")
		}
	})
}
