package etf_test

import (
	"fmt"

	"github.com/erlpy/erlpy/etf"
)

func Example() {
	b, err := etf.Marshal(etf.Tuple{etf.Atom("ok"), map[string]any{"size": 3, "tags": []string{"a", "b"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var v any
	if err := etf.Unmarshal(b, &v); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v)
	// Output: [ok map[size:3 tags:[a b]]]
}

func ExampleUnmarshal() {
	type job struct {
		Name  string `etf:"name"`
		Sizes []int  `etf:"sizes"`
	}
	b, err := etf.Marshal(map[string]any{"name": "nightly", "sizes": []any{1, "two"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var j job
	fmt.Println(etf.Unmarshal(b, &j))
	// Output: ['sizes'][1]: str cannot be passed as int
}

func ExampleDecoder() {
	b, err := etf.AppendTerm(nil, []any{21, "x"})
	if err != nil {
		fmt.Println(err)
		return
	}
	d := etf.NewDecoder(b)
	n, _ := d.ListLen()
	number, _ := d.Int()
	text, _ := d.Text()
	fmt.Println(n, number, text, d.EndList())
	// Output: 2 21 x <nil>
}
