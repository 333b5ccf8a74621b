// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
	"unicode"
)

// field is a field of a marked struct.
type field struct {
	goName string // "_" for padding
	cName  string
	decl   string // in C, without the semicolon
	offset int64
	size   int64 // 0: an array without a length, which reaches beyond the struct
	doc    *ast.CommentGroup
	note   *ast.CommentGroup
	apart  bool // an empty line precedes it
}

// measure finds the fields of all structs, with their types, offsets and sizes.
func (s *source) measure() error {
	for _, m := range s.structs {
		if err := s.measureStruct(m); err != nil {
			return fmt.Errorf("%s: %w", m.spec.Name, err)
		}
	}
	return nil
}

func (s *source) measureStruct(m *mirror) error {
	t := m.named.Underlying().(*types.Struct)
	var vars []*types.Var
	for v := range t.Fields() {
		vars = append(vars, v)
	}
	for i := 0; i < len(vars); i++ {
		if !known(vars[i].Type()) {
			return fmt.Errorf("the type of %s is not known here", vars[i].Name())
		}
	}
	offsets := sizes.Offsetsof(vars)
	at, pads, end := 0, 0, token.NoPos
	for _, f := range m.spec.Type.(*ast.StructType).Fields.List {
		for n := range max(1, len(f.Names)) {
			v := vars[at]
			c := &field{goName: v.Name(), offset: offsets[at], size: sizes.Sizeof(v.Type())}
			if n == 0 {
				c.doc, c.note, c.apart = f.Doc, f.Comment, s.apart(end, f)
			}
			c.cName = s.fieldName(v, &pads)
			var err error
			if c.decl, err = s.declare(v.Type(), c.cName); err != nil {
				return fmt.Errorf("%s: %w", v.Name(), err)
			}
			m.fields = append(m.fields, c)
			at++
		}
		end = f.End()
	}
	return nil
}

// known reports whether every part of a type could be resolved.
func known(t types.Type) bool {
	switch t := t.(type) {
	case *types.Basic:
		return t.Kind() != types.Invalid
	case *types.Array:
		return known(t.Elem())
	case *types.Pointer:
		return known(t.Elem())
	}
	return true
}

// apart reports whether an empty line separates f from the field that ends at end.
func (s *source) apart(end token.Pos, f *ast.Field) bool {
	start := f.Pos()
	if f.Doc != nil {
		start = f.Doc.Pos()
	}
	return end.IsValid() && s.fset.Position(start).Line > s.fset.Position(end).Line+1
}

// fieldName is a field's name in C.
func (s *source) fieldName(v *types.Var, pads *int) string {
	name := snake(v.Name())
	switch {
	case v.Name() == "_":
		name = fmt.Sprintf("pad%d", *pads)
		*pads++
	case reserved[name]:
		name += "_"
	}
	return name
}

// reserved are words of C and C++ that Go uses as names of fields.
var reserved = map[string]bool{"class": true, "inline": true}

// snake turns TxHwm into tx_hwm. Consecutive capitals and digits stay together.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) ||
			i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// basics maps Go's basic types to those of C. A word of type unsafe.Pointer links the
// nodes of a list, and other threads may read it at any time. A pointer that belongs to
// one thread has a type in Go.
var basics = map[types.BasicKind]string{
	types.Bool: "bool", types.Int8: "int8_t", types.Int16: "int16_t", types.Int32: "int32_t", types.Int64: "int64_t",
	types.Uint8: "uint8_t", types.Uint16: "uint16_t", types.Uint32: "uint32_t", types.Uint64: "uint64_t",
	types.Uintptr: "uintptr_t", types.UnsafePointer: "_Atomic (void *)",
}

// atomics maps the types of sync/atomic to those of C.
var atomics = map[string]string{"Int32": "int32_t", "Int64": "int64_t", "Uint32": "uint32_t", "Uint64": "uint64_t"}

// declare returns the C declaration of name for Go's type t.
func (s *source) declare(t types.Type, name string) (string, error) {
	switch t := t.(type) {
	case *types.Basic:
		if c := basics[t.Kind()]; c != "" {
			return c + " " + name, nil
		}
	case *types.Array:
		if t.Len() == 0 {
			return s.declare(t.Elem(), name+"[]")
		}
		return s.declare(t.Elem(), fmt.Sprintf("%s[%d]", name, t.Len()))
	case *types.Pointer:
		if target, err := s.declare(t.Elem(), "*"); err == nil {
			return target + name, nil
		}
	case *types.Named:
		return s.declareNamed(t, name)
	}
	return "", fmt.Errorf("no type of C is like %s", t)
}

func (s *source) declareNamed(t *types.Named, name string) (string, error) {
	if m := s.of(t); m != nil {
		return m.cName + " " + name, nil
	}
	if p := t.Obj().Pkg(); p == nil || p.Path() != "sync/atomic" {
		return s.declare(t.Underlying(), name)
	}
	if t.Obj().Name() == "Pointer" {
		target, err := s.declare(t.TypeArgs().At(0), "*")
		return "_Atomic (" + target + ") " + name, err
	}
	if c := atomics[t.Obj().Name()]; c != "" {
		return "_Atomic " + c + " " + name, nil
	}
	return "", fmt.Errorf("no type of C is like %s", t)
}
