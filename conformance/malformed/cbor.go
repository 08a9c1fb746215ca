package malformed

import (
	"slices"
	"strings"
)

// This file is the part of CBOR (RFC 8949) that requests in the protocol Smithy RPC v2
// CBOR are made of, and what is done to it.

// The major types of items.
const (
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	majorOther = 7
)

// itemHead is the beginning of an item: its kind, and a length or a value below 65,536.
func itemHead(major byte, n int) string {
	switch {
	case n < 24:
		return string([]byte{major<<5 | byte(n)})
	case n < 1<<8:
		return string([]byte{major<<5 | 24, byte(n)})
	}
	return string([]byte{major<<5 | 25, byte(n >> 8), byte(n)})
}

const (
	itemFalse = "\xf4"
	itemTrue  = "\xf5"
)

func textItem(s string) string { return itemHead(majorText, len(s)) + s }
func numberItem(n int) string  { return itemHead(0, n) }
func listItem(items ...string) string {
	return itemHead(majorArray, len(items)) + strings.Join(items, "")
}

// members is a map: names, and items as their values, in turns.
func members(pairs ...string) string {
	b := itemHead(majorMap, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		b += textItem(pairs[i]) + pairs[i+1]
	}
	return b
}

// rpcPath is where an operation of AppStream is in this protocol.
func rpcPath(operation string) string {
	return "/service/PhotonAdminProxyService/operation/" + operation
}

var cborType = map[string]string{"Content-Type": "application/cbor", "Accept": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}

// oddItems are items that programs stumble over, and beginnings of items that have no end.
var oddItems = []string{
	"", "\xf6", "\xf7", itemTrue, "\xff", "\xe0", "\xf8\xff", "\xf8\x20", "\x1c", "\x3d", "\x5e", "\x9c", "\xdf", "\xfc", // null, undefined, ends, reserved
	"\x00", "\x20", "\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "\x1b\x80\x00\x00\x00\x00\x00\x00\x00", // numbers
	"\xf9\x7e\x00", "\xf9\x7c\x00", "\xfa\x7f\x80\x00\x00", "\xfb\xff\xf0\x00\x00\x00\x00\x00\x00", "\xfb\x7f\xef\xff\xff\xff\xff\xff\xff", "\xf9\x00\x01", // fractions
	"\x40", "\x43abc", "\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "\x5f\x41a\x40\xff", "\x5f\x61a\xff", "\x5f", // bytes
	"\x60", "\x61\xff", "\x61\x00", "\x7f\x61a\x61b\xff", "\x7f\x61\xc3\x61\xa4\xff", "\x7f\x41a\xff", "\x7f\x7f\xff\xff", "\x7b\xff\xff\xff\xff\xff\xff\xff\xff", // texts
	"\x80", "\x9f", "\x9f\x00\xff", "\x82\x00", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "\x9a\x7f\xff\xff\xff", // lists
	"\xa0", "\xbf", "\xbf\x61a\xff", "\xa1\x01\x01", "\xa1\x40\x01", "\xa2\x61a\x01\x61a\x01", "\xbb\xff\xff\xff\xff\xff\xff\xff\xff", // maps
	"\xc1\x00", "\xc1\xf9\x7e\x00", "\xc1\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "\xc0\x6a2026-13-99", "\xc1", "\xc2\x41\x01", "\xd8\x2a\x00", "\xdb\xff\xff\xff\xff\xff\xff\xff\xff\x00", // tags
}

// itemChanges are changes to what a request in CBOR says, beside those to any request.
var itemChanges = []func(*draft){
	func(d *draft) { d.replaceItem(d.pick(oddItems...)) },
	func(d *draft) { d.replaceItem(d.pick(oddItems...)) },
	func(d *draft) { d.replaceItem(d.pick(oddItems...)) },
	func(d *draft) {
		n := 1 + d.IntN(3000)
		d.replaceItem(strings.Repeat(d.pick("\x81", "\x9f", "\xa1\x61a", "\xbf\x61a", "\xc1", "\xd8\x2a"), n) + d.pick("\x00", "\xff", ""))
	},
	func(d *draft) {
		n := d.IntN(3000)
		d.replaceItem(itemHead(majorArray, n) + strings.Repeat(d.pick("\x00", "\xa0", "\x61a", "\xf6"), n))
	},
	func(d *draft) { d.replaceItem(itemHead(majorText, 5000) + strings.Repeat("a", 5000)) },
	func(d *draft) { d.replaceItem("\x7f" + strings.Repeat("\x61a", d.IntN(2000)) + "\xff") },
	func(d *draft) { // a member twice, or one that nobody knows
		if found := items(d.body); len(found) > 2 {
			d.body = slices.Concat([]byte{0xbf}, d.body[found[1].from:], []byte(d.pick(textItem("Name"), textItem("x"))), []byte(d.pick(oddItems...)), []byte{0xff})
		}
	},
	func(d *draft) { // another length or kind of one item
		if found := items(d.body); len(found) > 0 {
			d.body[found[d.IntN(len(found))].from] = byte(d.IntN(256))
		}
	},
	func(d *draft) {
		d.header.Set("Smithy-Protocol", d.pick("", "rpc-v2-json", "rpc-v2-cbor, rpc-v2-cbor", "RPC-V2-CBOR", strings.Repeat("r", 2000)))
	},
	func(d *draft) { d.header.Set("X-Amz-Target", "PhotonAdminProxyService.DescribeImages") },
	func(d *draft) {
		d.path = d.pick("/service", "/service/", rpcPath(""), rpcPath("Nothing"), rpcPath("DescribeFleets"), rpcPath("DescribeImages")+"/", "/x"+rpcPath("DescribeImages"), "/service/X/operation/DescribeImages", rpcPath("%00"), rpcPath(strings.Repeat("D", 3000)))
	},
}

// replaceItem puts another item in the place of one.
func (d *draft) replaceItem(item string) {
	found := items(d.body)
	if len(found) == 0 {
		return
	}
	at := found[d.IntN(len(found))]
	d.body = slices.Concat(d.body[:at.from], []byte(item), d.body[at.to:])
}

// span is where an item is.
type span struct{ from, to int }

// items finds all items of a body of CBOR, each before what lies in it, as far as the
// body is CBOR.
func items(body []byte) []span {
	f := finder{body: body}
	f.item(0, 0)
	return f.found
}

type finder struct {
	body  []byte
	found []span
}

// item finds the one that begins at a place, and returns where it ends.
func (f *finder) item(at, depth int) (end int, ok bool) {
	if at >= len(f.body) || depth > 100 {
		return 0, false
	}
	first := f.body[at]
	major, info := first>>5, first&31
	n, width := int(info), 0
	switch {
	case info >= 24 && info <= 25: // longer ones are none of ours
		width = 1 << (info - 24)
		if at+1+width > len(f.body) {
			return 0, false
		}
		n = 0
		for _, b := range f.body[at+1 : at+1+width] {
			n = n<<8 | int(b)
		}
	case info >= 26:
		return 0, false
	}
	place := len(f.found)
	f.found = append(f.found, span{at, 0})
	end, ok = at+1+width, true
	switch major {
	case 0, 1, majorOther:
		n = 0
	case 2, majorText:
		end, n = end+n, 0
		ok = end <= len(f.body)
	case majorMap:
		n *= 2
	case majorTag:
		n = 1
	}
	for ; n > 0 && ok; n-- {
		end, ok = f.item(end, depth+1)
	}
	if !ok {
		// It has no end that is known: what it holds has.
		f.found = slices.Delete(f.found, place, place+1)
		return 0, false
	}
	f.found[place].to = end
	return end, true
}
