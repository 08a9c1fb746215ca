package trail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"souk/storage/store"
)

// Kinds of documents.
const (
	// kindSingle is a record on its own, that of a write. Its id is the event's.
	kindSingle = "trail"
	// kindPack has the records of one account and minute, 2,000 at most. Its id
	// begins with that of the newest of them. It is due when its time is over.
	kindPack = "trail-pack"
	// kindDelivery says that a pack, which has the same id, is to be delivered.
	kindDelivery = "trail-delivery"
)

// indexTime lists an account's records, and its packs, in the order of their ids.
const indexTime = "time"

// single is the document of a record on its own.
func single(r *Record, body []byte) store.Document {
	var c cover
	c.add(r)
	return store.Document{
		Key: store.Key{Kind: kindSingle, ID: r.ID}, Body: body,
		Index: []store.Entry{{Index: indexTime, Partition: r.Account, Cover: c.bytes()}},
	}
}

// pack is a document with many records.
type pack struct {
	id      string // the newest record's, and 8 hexadecimal digits
	account string
	size    int // bytes of its records, before they were compressed
	body    []byte
	cover   []byte
}

const packFormat = 1 // the first byte of a pack's body

// errPack says that bytes are no pack.
var errPack = errors.New("not a pack of records")

// pack makes a pack of a group's records.
func (t *Trail) pack(g *group) (*pack, error) {
	var c cover
	var r Record
	newest := ""
	err := each(string(g.records), func(record string) error {
		if err := r.decodeRest(record); err != nil {
			return err
		}
		newest = max(newest, record[2:2+idSize]) // their bytes have the order of their texts
		c.addAt(timeIn(record), &r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("packing records of account %s: %w", g.account, err)
	}
	id := fmt.Sprintf("%s-%08x", idOf("  "+newest), rand.Uint32())
	body := append(make([]byte, 0, 512+len(g.records)/6), packFormat)
	return &pack{id: id, account: g.account, size: len(g.records), cover: c.bytes(), body: t.encoder.EncodeAll(g.records, body)}, nil
}

// writes are the documents of a pack.
func (p *pack) writes(keep time.Duration, delivered bool) []store.Write {
	all := []store.Write{{Was: store.Any, Document: store.Document{
		Key: store.Key{Kind: kindPack, ID: p.id}, Body: p.body, Summary: []byte(strconv.Itoa(p.size)),
		Index: p.index(), Due: packTime(p.id).Add(keep),
	}}}
	if delivered {
		all = append(all, store.Write{Was: store.Any, Document: store.Document{
			Key: store.Key{Kind: kindDelivery, ID: p.id}, Body: []byte(p.id), Due: packTime(p.id),
		}})
	}
	return all
}

func (p *pack) index() []store.Entry {
	return []store.Entry{{Index: indexTime, Partition: p.account, Cover: p.cover}}
}

// packTime is the time of the newest record of a pack.
func packTime(id string) time.Time {
	at, _ := idTime(id[:min(36, len(id))])
	return at
}

// open returns the records of a pack's body, with their lengths before them.
func (t *Trail) open(body []byte) (string, error) {
	if len(body) == 0 || body[0] != packFormat {
		return "", errPack
	}
	records, err := t.decoder.DecodeAll(body[1:], nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errPack, err)
	}
	return string(records), nil
}

// each calls look with each of the records.
func each(records string, look func(record string) error) error {
	for len(records) > 0 {
		n, size := uvarint(records)
		if size <= 0 || n > uint64(len(records)-size) {
			return errPack
		}
		if err := look(records[size : size+int(n)]); err != nil {
			return err
		}
		records = records[size+int(n):]
	}
	return nil
}

// cover tells, without reading records, which of them can't be asked for: the
// oldest one's time, and 16 bits of a hash of each attribute's value. It is
// what stands in the index.
type cover struct {
	oldest uint64 // milliseconds
	prints []uint16
	many   bool // there are too many prints
	// last are the values of the record before: most records have the same.
	last [attributeCount]string
}

// mostPrints bounds the prints of a pack; with more, anything may be in it.
const mostPrints = 4096

func (c *cover) add(r *Record) { c.addAt(uint64(r.Time().UnixMilli()), r) }

// addAt adds a record with the time in its id, in milliseconds.
func (c *cover) addAt(ms uint64, r *Record) {
	if c.oldest == 0 || ms < c.oldest {
		c.oldest = ms
	}
	for _, a := range [...]Attribute{EventName, EventSource, Username, AccessKeyID, ReadOnly} {
		c.print(a, r.value(a))
	}
	for _, arn := range r.Resources {
		service, kind, name := resourceParts(arn)
		c.print(ResourceName, name)
		c.prints = append(c.prints, fingerprint(ResourceName, arn))
		if of := arn[:len(arn)-len(name)]; of != c.last[ResourceType] {
			c.last[ResourceType] = of
			c.prints = append(c.prints, fingerprint(ResourceType, resourceType(service, kind)))
		}
	}
	if len(c.prints) > 2*mostPrints {
		c.compact()
	}
}

func (c *cover) print(a Attribute, value string) {
	if value != c.last[a] {
		c.last[a] = value
		c.prints = append(c.prints, fingerprint(a, value))
	}
}

// compact sorts the prints and leaves each once.
func (c *cover) compact() {
	slices.Sort(c.prints)
	c.prints = slices.Compact(c.prints)
	if len(c.prints) > mostPrints || c.many {
		c.prints, c.many = c.prints[:0], true
	}
}

// bytes is the cover as it is stored: 6 bytes of time, then the prints in their order.
func (c *cover) bytes() []byte {
	c.compact()
	b := make([]byte, 0, 8+2*len(c.prints))
	b = binary.BigEndian.AppendUint64(b, c.oldest<<16)[:6]
	for _, p := range c.prints {
		b = binary.BigEndian.AppendUint16(b, p)
	}
	return b
}

// fingerprint is 16 bits of a hash (FNV-1a) of an attribute's value. It is part
// of the format.
func fingerprint(a Attribute, value string) uint16 {
	const offset, prime = 2166136261, 16777619
	sum := (uint32(offset) ^ uint32(a)) * prime
	for i := range len(value) {
		sum = (sum ^ uint32(value[i])) * prime
	}
	return uint16(sum ^ sum>>16)
}

// mayHave says whether a record with that value can be behind a stored cover.
func mayHave(cover []byte, print uint16) bool {
	if len(cover) <= 6 {
		return true
	}
	var want [2]byte
	binary.BigEndian.PutUint16(want[:], print)
	low, high := 0, (len(cover)-6)/2
	for low < high {
		middle := int(uint(low+high) / 2)
		switch bytes.Compare(cover[6+2*middle:8+2*middle], want[:]) {
		case 0:
			return true
		case -1:
			low = middle + 1
		default:
			high = middle
		}
	}
	return false
}

// oldestOf is the time of the oldest record behind a stored cover, in milliseconds.
func oldestOf(cover []byte) int64 {
	if len(cover) < 6 {
		return 0
	}
	var b [8]byte
	copy(b[2:], cover[:6])
	return int64(binary.BigEndian.Uint64(b[:]))
}
