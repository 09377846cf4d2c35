package channel_test

import (
	"math"
	"testing"

	"github.com/erlpy/erlpy/internal/channel"
)

func TestHeader(t *testing.T) {
	for _, test := range []struct {
		payload int
		kind    channel.Kind
		id      uint32
		want    string
	}{
		{0, channel.Bye, 0, "\x00\x00\x00\x05\x07\x00\x00\x00\x00"},
		{7, channel.Call, 1, "\x00\x00\x00\x0c\x02\x00\x00\x00\x01"},
		{0x01020304 - 5, channel.OK, math.MaxUint32, "\x01\x02\x03\x04\x03\xff\xff\xff\xff"},
	} {
		var b [channel.HeaderSize]byte
		channel.PutHeader(b[:], test.payload, test.kind, test.id)
		if string(b[:]) != test.want {
			t.Errorf("PutHeader(%d, %v, %d) = %q, want %q", test.payload, test.kind, test.id, b, test.want)
		}
		want := channel.Header{Kind: test.kind, ID: test.id, Size: test.payload}
		if got := channel.ParseHeader(b[:]); got != want {
			t.Errorf("ParseHeader(%q) = %v, want %v", b, got, want)
		}
	}
}

func TestKindString(t *testing.T) {
	for k, want := range map[channel.Kind]string{0: "kind 0", channel.Hello: "hello", channel.Calls: "calls", 9: "kind 9", 255: "kind 255"} {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d) is %q, want %q", uint8(k), got, want)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x07\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < channel.HeaderSize {
			return
		}
		h := channel.ParseHeader(b)
		var again [channel.HeaderSize]byte
		channel.PutHeader(again[:], h.Size, h.Kind, h.ID)
		if string(again[:]) != string(b[:channel.HeaderSize]) {
			t.Errorf("%q was read as %v, which is written %q", b[:channel.HeaderSize], h, again)
		}
	})
}
