package api

import "net/http"

// Problem is an error answer of the API: a problem detail (RFC 9457) with two members of ours.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Code names the kind of fault for programs.
	Code Code `json:"code,omitempty"`
	// Field is the path of the field at fault, such as "actions[1].title".
	Field string `json:"field,omitempty"`
}

// Code is a kind of fault. It stays the same when texts change.
type Code string

// The codes of faults that programs may need to distinguish. Others have only the status.
const (
	CodeField       Code = "field"         // a field is missing or wrong; see Field
	CodeUnknownSite Code = "unknownSite"   // neither configured nor stored
	CodeNotFound    Code = "notFound"      // the site has nothing with that id
	CodeRevision    Code = "revision"      // it has changed since it was read
	CodeState       Code = "state"         // the message's state does not allow it
	CodeConflict    Code = "conflict"      // it contradicts the stored data
	CodeIdempotency Code = "idempotency"   // the key was used for another request
	CodeFull        Code = "full"          // the maximum number is reached
	CodeUnavailable Code = "unavailable"   // the store cannot be used at the moment
	CodeUnsupported Code = "unsupported"   // this storage cannot do it
	CodeNoRoute     Code = "noSuchAddress" // no such path, or not with this method
)

// NewProblem returns a problem that its status and a sentence fully describe.
func NewProblem(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// FieldProblem returns the problem of a request's field. why continues after its name.
func FieldProblem(field, why string) *Problem {
	p := NewProblem(http.StatusBadRequest, field+" "+why)
	p.Field, p.Code = field, CodeField
	return p
}

// Error returns the title and the detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}
