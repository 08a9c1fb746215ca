package logo

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	svgSpace = "http://www.w3.org/2000/svg"

	svgDepth    = 64     // of elements within each other
	svgElements = 20_000 // in a drawing
)

// svgShapes are the elements that a drawing keeps, with what is in them; all
// others go with what is in them: scripts, links, animations, embedded pictures
// and pages, filters, and what draws other elements again (use, symbol, mask,
// pattern, marker), by which few bytes become an endless drawing.
var svgShapes = map[string]bool{
	"svg": true, "g": true, "defs": true, "title": true, "desc": true, "style": true,
	"path": true, "rect": true, "circle": true, "ellipse": true, "line": true, "polyline": true, "polygon": true,
	"text": true, "tspan": true, "clipPath": true, "linearGradient": true, "radialGradient": true, "stop": true,
}

// svgTexts are the elements whose text is kept.
var svgTexts = map[string]bool{"title": true, "desc": true, "text": true, "tspan": true, "style": true}

// svgAttributes are the attributes that are kept, where their values are harmless.
var svgAttributes = func() map[string]bool {
	kept := map[string]bool{}
	for name := range strings.FieldsSeq(`
		id class style transform d points x y x1 y1 x2 y2 dx dy cx cy r rx ry fx fy fr width height viewBox
		preserveAspectRatio version offset gradientUnits gradientTransform spreadMethod clipPathUnits
		clip-path clip-rule color display visibility opacity overflow
		fill fill-opacity fill-rule stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin
		stroke-miterlimit stroke-opacity stroke-width stop-color stop-opacity paint-order shape-rendering
		font-family font-size font-style font-weight font-stretch letter-spacing word-spacing text-anchor
		text-rendering dominant-baseline textLength lengthAdjust`) {
		kept[name] = true
	}
	return kept
}()

// drawing makes an SVG harmless: it reads it strictly (no entities but those of
// XML itself, UTF-8 only) and writes anew what is on the lists above. What is
// written refers to nothing outside of itself, runs nothing, and is at most as
// large as BrandingWidth x BrandingHeight. All its errors are
// change.ErrLogoNotSupported.
func drawing(file []byte) ([]byte, error) {
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(file) {
		return nil, unsupported("it is neither PNG nor SVG in UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(file))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("its encoding is %q", charset)
	}
	s := svg{decoder: d}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && s.done {
			break
		}
		if err != nil {
			return nil, unsupported("it is neither PNG nor SVG: %v", err)
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
			continue // declarations, comments and space; a DOCTYPE declares what nothing uses
		case s.done || start.Name.Local != "svg" || start.Name.Space != svgSpace:
			return nil, unsupported("its root is not the one element svg")
		}
		if err := s.element(start, 1, false); err != nil {
			return nil, err
		}
		s.done = true
	}
	if s.out.Len() > BrandingBytes {
		return nil, unsupported("written out it has more than %d bytes", BrandingBytes)
	}
	return s.out.Bytes(), nil
}

// svg is a drawing that is being written.
type svg struct {
	decoder  *xml.Decoder
	out      bytes.Buffer
	elements int
	done     bool // the root was written
}

// element writes an element that was begun, with what is in it. clip says that
// it is within a clipPath: such have none of their own, or few would be many.
func (s *svg) element(start xml.StartElement, depth int, clip bool) error {
	if s.elements++; s.elements > svgElements || depth > svgDepth {
		return unsupported("it has more than %d elements, or more than %d within each other", svgElements, svgDepth)
	}
	name := start.Name.Local
	s.out.WriteString("<" + name)
	if depth == 1 {
		s.out.WriteString(` xmlns="` + svgSpace + `"`)
		start.Attr = sized(start.Attr)
	}
	written := map[string]bool{}
	for _, a := range start.Attr {
		local := a.Name.Local
		link := local == "href" && strings.HasSuffix(name, "Gradient") && strings.HasPrefix(a.Value, "#")
		known := a.Name.Space == "" && svgAttributes[local] && !(clip && local == "clip-path")
		if !link && !known || written[local] || !harmless(a.Value) || clip && clips(a.Value) {
			continue
		}
		written[local] = true
		s.out.WriteString(" " + local + `="`)
		escape(&s.out, a.Value)
		s.out.WriteByte('"')
	}
	s.out.WriteByte('>')
	if name == "style" {
		if err := s.style(); err != nil {
			return err
		}
	} else if err := s.within(name, depth, clip || name == "clipPath"); err != nil {
		return err
	}
	s.out.WriteString("</" + name + ">")
	return nil
}

// within writes what is in an element, up to its end.
func (s *svg) within(name string, depth int, clip bool) error {
	for {
		token, err := s.decoder.Token()
		if err != nil {
			return unsupported("it is damaged: %v", err)
		}
		switch t := token.(type) {
		case xml.EndElement:
			return nil
		case xml.CharData:
			if svgTexts[name] {
				escape(&s.out, string(t))
			}
		case xml.StartElement:
			if t.Name.Space != svgSpace || !svgShapes[t.Name.Local] {
				err = s.skip(depth)
			} else {
				err = s.element(t, depth+1, clip)
			}
			if err != nil {
				return err
			}
		}
	}
}

// skip reads over an element that was begun.
func (s *svg) skip(depth int) error {
	for open := 1; open > 0; {
		token, err := s.decoder.Token()
		if err != nil {
			return unsupported("it is damaged: %v", err)
		}
		switch token.(type) {
		case xml.StartElement:
			open++
		case xml.EndElement:
			open--
		}
		if depth+open > svgDepth {
			return unsupported("it has more than %d elements within each other", svgDepth)
		}
	}
	return nil
}

// style writes a style sheet, if it is harmless as a whole.
func (s *svg) style() error {
	var sheet strings.Builder
	for {
		token, err := s.decoder.Token()
		if err != nil {
			return unsupported("it is damaged: %v", err)
		}
		switch t := token.(type) {
		case xml.EndElement:
			text := sheet.String()
			// Rules could give clip paths to what is in clip paths.
			if harmless(text) && !clips(text) {
				escape(&s.out, text)
			}
			return nil
		case xml.CharData:
			sheet.Write(t)
		case xml.StartElement:
			if err := s.skip(svgDepth / 2); err != nil {
				return err
			}
		}
	}
}

// callForm is what stands before a parenthesis, and the parenthesis.
var callForm = regexp.MustCompile(`([A-Za-z0-9_-]*)\s*\(\s*["']?\s*(#?)`)

// svgCalls are the functions that values may have.
var svgCalls = map[string]bool{
	"rgb": true, "rgba": true, "hsl": true, "hsla": true, "calc": true,
	"matrix": true, "translate": true, "scale": true, "rotate": true, "skewX": true, "skewY": true,
}

// harmless says whether the value of an attribute or a style sheet loads nothing:
// it has no function but those above and url(#...), no rule with @, no escape,
// and nothing that looks like the address of something else.
func harmless(value string) bool {
	lower := strings.ToLower(value)
	if strings.ContainsAny(value, `@\<`) || strings.Contains(value, "/*") {
		return false
	}
	for _, scheme := range []string{"javascript", "data:", "http:", "https:", "//", "expression"} {
		if strings.Contains(lower, scheme) {
			return false
		}
	}
	for _, call := range callForm.FindAllStringSubmatch(value, -1) {
		if !svgCalls[call[1]] && !(call[1] == "url" && call[2] == "#") {
			return false
		}
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) })
}

// clips says whether a style may clip.
func clips(style string) bool { return strings.Contains(strings.ToLower(style), "clip-path") }

// sized gives the root of a drawing the size at which it is shown, and a viewBox
// so that all of it is.
func sized(attributes []xml.Attr) []xml.Attr {
	var kept []xml.Attr
	w, h := 0.0, 0.0
	var box []float64
	for _, a := range attributes {
		switch {
		case a.Name.Space != "":
		case a.Name.Local == "width":
			w = length(a.Value)
		case a.Name.Local == "height":
			h = length(a.Value)
		case a.Name.Local == "viewBox":
			box = numbers(a.Value)
		default:
			kept = append(kept, a)
		}
	}
	switch {
	case box != nil && w > 0 && h <= 0:
		h = w * box[3] / box[2]
	case box != nil && h > 0 && w <= 0:
		w = h * box[2] / box[3]
	case box != nil && w <= 0 && h <= 0:
		w, h = box[2], box[3]
	case w <= 0 || h <= 0:
		w, h = BrandingWidth, BrandingHeight
	}
	if box == nil {
		box = []float64{0, 0, w, h}
	}
	w, h = fit(w, h)
	w, h = max(w, 0.01), max(h, 0.01)
	add := func(name, value string) {
		kept = append(kept, xml.Attr{Name: xml.Name{Local: name}, Value: value})
	}
	add("width", number(w))
	add("height", number(h))
	add("viewBox", number(box[0])+" "+number(box[1])+" "+number(box[2])+" "+number(box[3]))
	return kept
}

// units are CSS's, in pixels.
var units = map[string]float64{"": 1, "px": 1, "pt": 96.0 / 72, "pc": 16, "in": 96, "cm": 96 / 2.54, "mm": 96 / 25.4}

// length is a length in pixels; 0 if it is none, or one that depends on others.
func length(text string) float64 {
	text = strings.TrimSpace(text)
	n := strings.TrimRightFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' || r == '%' })
	unit, known := units[text[len(n):]]
	v, err := strconv.ParseFloat(n, 64)
	if err != nil || !known || !(v*unit >= 0.01 && v*unit <= 1e6) {
		return 0
	}
	return v * unit
}

// numbers reads a viewBox; nil if it is none.
func numbers(text string) []float64 {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(fields) != 4 {
		return nil
	}
	box := make([]float64, 4)
	for i, f := range fields {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || !(math.Abs(v) <= 1e6) || i >= 2 && v < 0.01 {
			return nil
		}
		box[i] = v
	}
	return box
}

// number writes a number with as many digits as a drawing needs.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*10_000)/10_000, 'f', -1, 64)
}

// escape writes text for a place within an element or a quoted value.
func escape(b *bytes.Buffer, text string) {
	_ = xml.EscapeText(b, []byte(text)) // a Buffer never fails
}
