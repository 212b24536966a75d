// Package wire is what the generator, the backend and the Go services agree on: the body that carries the token and
// the work that a token asks for. services/README.md says it in words for the services in other languages.
package wire

import "time"

// The agent copies at most the first 1 KiB and the last 16 bytes of a turn: the token lies behind the former and is
// followed by a constant longer than the latter.
const (
	FillerSize  = 3072
	TokenSize   = 32
	IndexSize   = 2
	TrailerSize = 64
	tokenAt     = FillerSize
	indexAt     = tokenAt + TokenSize
	BodySize    = indexAt + IndexSize + TrailerSize
)

// NoIndex stands in the place of a call's index in a request that comes from the generator.
const NoIndex = "--"

// NewBody builds a request's body. Every body has the same length.
func NewBody(token, index string) []byte {
	body := make([]byte, BodySize)
	for i := range body {
		body[i] = '.'
	}
	copy(body[tokenAt:], token)
	copy(body[indexAt:], index)
	body[BodySize-1] = '\n'
	return body
}

// Token returns the token and the call index of a body, "" when it is not one of ours.
func Token(body []byte) (token, index string) {
	if len(body) != BodySize {
		return "", ""
	}
	return string(body[tokenAt:indexAt]), string(body[indexAt : indexAt+IndexSize])
}

// CallBody is the body of the index-th call made for a request with the given body.
func CallBody(body []byte, index int) []byte {
	out := append([]byte(nil), body...)
	out[indexAt] = '0' + byte(index/10)
	out[indexAt+1] = '0' + byte(index%10)
	return out
}

// Step is one or several calls made at once, after a pause.
type Step struct {
	Pause time.Duration
	Calls []int
}

func digit(token string, at int) int {
	c := token[at]
	if c >= 'a' {
		return int(c-'a') + 10
	}
	return int(c - '0')
}

// Plan is the work a token asks for: the same function of the token in every service.
func Plan(token string) []Step {
	if len(token) != TokenSize {
		return nil
	}
	var calls []int
	for i := 0; i < 1+digit(token, 0)%5; i++ {
		if i == 0 || digit(token, 1+i) >= 4 {
			calls = append(calls, i)
		}
	}
	groups := [][]int{}
	switch digit(token, 6) % 3 {
	case 0:
		for _, c := range calls {
			groups = append(groups, []int{c})
		}
	case 1:
		groups = append(groups, calls)
	case 2:
		groups = append(groups, calls[:1])
		if len(calls) > 1 {
			groups = append(groups, calls[1:])
		}
	}
	steps := make([]Step, len(groups))
	for i, g := range groups {
		steps[i] = Step{time.Duration(digit(token, 7+g[0])) * 250 * time.Microsecond, g}
	}
	return steps
}

var distinct = [...]string{"/users", "/stock", "/price", "/offers", "/audit"}

// CallPath is where the index-th call goes: an /order calls five different operations, all else one and the same.
func CallPath(incoming string, index int) string {
	if incoming == "/refresh" {
		return incoming
	}
	if incoming == "/order" {
		return distinct[index]
	}
	return "/query"
}
