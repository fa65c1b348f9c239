package notifyd

import (
	"time"

	"github.com/godbus/dbus/v5"
)

// backlog is how many calls may wait; godbus drops more.
const backlog = 4096

// serve answers calls one by one until the connection ends.
//
// It handles the raw messages, since a test must not see a notification before
// the reply with its id is on the wire. The browser ignores a click that is
// signalled before that reply, as it does not know the id; real users are not
// that fast. godbus's exported methods reply only after they have returned.
func (d *Daemon) serve(calls <-chan *dbus.Message) {
	for call := range calls {
		if call.Type == dbus.TypeMethodCall {
			d.answer(call)
		}
	}
}

func (d *Daemon) answer(call *dbus.Message) {
	member, _ := call.Headers[dbus.FieldMember].Value().(string)
	switch member {
	case "GetCapabilities":
		// Without "body" and "actions", Chromium shows nothing here.
		d.reply(call, []string{"actions", "body", "body-markup", "icon-static", "persistence"})
	case "GetServerInformation":
		d.reply(call, "notifyd", "caddy-webpush tests", "1", "1.2") // the last is the specification's version
	case "Notify":
		d.notify(call)
	case "CloseNotification":
		var id uint32
		if err := dbus.Store(call.Body, &id); err != nil {
			d.refuse(call, dbus.ErrMsgInvalidArg)
			return
		}
		d.reply(call)
		// The only error is a connection that has ended; serve sees that too.
		_ = d.close(id, Withdrawn)
	default:
		d.refuse(call, dbus.MakeUnknownMethodError(member))
	}
}

// notify shows a notification or replaces a displayed one.
func (d *Daemon) notify(call *dbus.Message) {
	var n Notification
	var icon string
	var actions []string
	err := dbus.Store(call.Body, &n.App, &n.Replaces, &icon, &n.Title, &n.Body, &actions, &n.Hints, &n.Timeout)
	if err != nil {
		d.refuse(call, dbus.ErrMsgInvalidArg)
		return
	}
	for i := 0; i+1 < len(actions); i += 2 {
		n.Actions = append(n.Actions, Action{Key: actions[i], Label: actions[i+1]})
	}
	n.ID = n.Replaces
	if n.ID == 0 {
		d.last++
		n.ID = d.last
	}
	d.reply(call, n.ID)
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.find(n.Replaces); i >= 0 {
		d.shown[i].Closed = Withdrawn
	}
	d.shown = append(d.shown, Shown{Notification: n, At: time.Now()})
	d.wake()
}

// reply sends the result of a call. It returns when the reply has been sent.
func (d *Daemon) reply(call *dbus.Message, results ...any) {
	d.send(call, dbus.TypeMethodReply, nil, results)
}

func (d *Daemon) refuse(call *dbus.Message, err dbus.Error) {
	name := map[dbus.HeaderField]dbus.Variant{dbus.FieldErrorName: dbus.MakeVariant(err.Name)}
	d.send(call, dbus.TypeError, name, err.Body)
}

func (d *Daemon) send(call *dbus.Message, kind dbus.Type, headers map[dbus.HeaderField]dbus.Variant, body []any) {
	if call.Flags&dbus.FlagNoReplyExpected != 0 {
		return
	}
	if headers == nil {
		headers = make(map[dbus.HeaderField]dbus.Variant)
	}
	headers[dbus.FieldDestination] = call.Headers[dbus.FieldSender]
	headers[dbus.FieldReplySerial] = dbus.MakeVariant(call.Serial())
	if len(body) > 0 {
		headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	d.conn.Send(&dbus.Message{Type: kind, Headers: headers, Body: body}, nil)
}
