package operator

import (
	"io"
	"net/http"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/api"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi/exchange"
)

func viewKey(k pushsvc.Key) api.Key {
	return api.Key{ID: k.ID, PublicKey: k.Public, Created: k.Created, Current: k.Current}
}

func (o *Operator) listKeys(w http.ResponseWriter, r *http.Request) error {
	count, err := queryFlag(r, "count")
	if err != nil {
		return err
	}
	keys, counts, err := o.service.Keys(r.Context(), count)
	if err != nil {
		return err
	}
	list := api.KeyList{Keys: make([]api.Key, len(keys))}
	for i, k := range keys {
		list.Keys[i] = viewKey(k)
		if count {
			n := counts[k.ID]
			list.Keys[i].Subscriptions = &n
		}
	}
	exchange.WriteJSON(w, http.StatusOK, list)
	return nil
}

func (o *Operator) importKey(w http.ResponseWriter, r *http.Request) error {
	// The private key is a plain string: a Secret's MarshalText must not be reversible.
	var in api.ImportKeyRequest
	if err := o.decode(w, r, &in); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"publicKey", in.PublicKey}, {"privateKey", in.PrivateKey}} {
		if f.value == "" {
			return api.FieldProblem(f.name, "is missing: import takes a pair, each half in base64url")
		}
	}
	key, err := o.service.ImportKey(r.Context(), in.PublicKey, pushsvc.Secret(in.PrivateKey), in.Current == nil || *in.Current)
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusCreated, viewKey(key))
	return nil
}

// rotateKey makes a new key. The request needs no body.
func (o *Operator) rotateKey(w http.ResponseWriter, r *http.Request) error {
	key, err := o.service.RotateKey(r.Context())
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusCreated, viewKey(key))
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

// compact makes the store's file as small as possible.
func (o *Operator) compact(w http.ResponseWriter, r *http.Request) error {
	before, after, err := o.service.Compact(r.Context())
	if err != nil {
		return err
	}
	exchange.WriteJSON(w, http.StatusOK, api.Compacted{Before: before, After: after})
	return nil
}
