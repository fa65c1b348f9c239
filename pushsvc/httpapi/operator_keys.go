package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// keyView is a key without its private half.
type keyView struct {
	pushsvc.Key
	// Subscriptions is how many were made with it, where that was asked for.
	Subscriptions *int64 `json:"subscriptions,omitempty"`
}

func (o *Operator) listKeys(w http.ResponseWriter, r *http.Request) error {
	count, err := queryFlag(r, "count")
	if err != nil {
		return err
	}
	keys, err := o.service.Store.Keys(r.Context())
	if err != nil {
		return fmt.Errorf("listing keys: %w", err)
	}
	var counts map[string]int64
	if count {
		if counts, err = o.service.KeyCounts(r.Context()); err != nil {
			return err
		}
	}
	views := make([]keyView, len(keys))
	for i, k := range keys {
		views[i].Key = k
		if count {
			n := counts[k.ID]
			views[i].Subscriptions = &n
		}
	}
	writeJSON(w, http.StatusOK, struct {
		Keys []keyView `json:"keys"`
	}{views})
	return nil
}

func (o *Operator) importKey(w http.ResponseWriter, r *http.Request) error {
	// A plain string: a Secret's MarshalText must not have a way back.
	var body struct {
		Public  string `json:"public_key"`
		Private string `json:"private_key"`
		// Current is whether to make it the current one; true where it is left out.
		Current *bool `json:"current"`
	}
	if err := o.decode(w, r, &body); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"public_key", body.Public}, {"private_key", body.Private}} {
		if f.value == "" {
			return badField(f.name, "is missing: import takes a pair, each half in base64url")
		}
	}
	key, err := o.service.ImportKey(r.Context(), body.Public, pushsvc.Secret(body.Private), body.Current == nil || *body.Current)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, key)
	return nil
}

// rotateKey makes a new key. The request needs no body.
func (o *Operator) rotateKey(w http.ResponseWriter, r *http.Request) error {
	key, err := o.service.RotateKey(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, key)
	return nil
}

// backup answers with a copy of the store.
func (o *Operator) backup(w http.ResponseWriter, r *http.Request) error {
	name := "webpush-" + time.Now().UTC().Format("20060102-150405") + ".db"
	return o.stream(w, r, "application/octet-stream", name, func(out io.Writer) error {
		_, err := o.service.Backup(r.Context(), out)
		return err
	})
}

// compact makes the store's file as small as it can be.
func (o *Operator) compact(w http.ResponseWriter, r *http.Request) error {
	before, after, err := o.service.Compact(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Before int64 `json:"before"`
		After  int64 `json:"after"`
	}{before, after})
	return nil
}
