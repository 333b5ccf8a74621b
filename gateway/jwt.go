// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// A verifier looks at JSON Web Tokens.
type verifier struct {
	key    any
	parser *jwt.Parser
}

// claims are what a token may say.
type claims struct {
	jwt.RegisteredClaims
	Groups  []string `json:"groups"`
	Service string   `json:"service"`
}

// secretLeast is the length of the shortest secret, in bytes.
const secretLeast = 32

func newVerifier(c *Config) (*verifier, error) {
	text, err := os.ReadFile(c.JWTKey)
	if err != nil {
		return nil, fmt.Errorf("--jwt-key %s cannot be read: %w", c.JWTKey, err)
	}
	v := &verifier{}
	method := jwt.SigningMethodHS256.Alg()
	if block, _ := pem.Decode(text); block != nil {
		if v.key, err = publicKey(block); err != nil {
			return nil, fmt.Errorf("--jwt-key %s: %w", c.JWTKey, err)
		}
		switch v.key.(type) {
		case *rsa.PublicKey:
			method = jwt.SigningMethodRS256.Alg()
		case *ecdsa.PublicKey:
			method = jwt.SigningMethodES256.Alg()
		case ed25519.PublicKey:
			method = jwt.SigningMethodEdDSA.Alg()
		default:
			return nil, fmt.Errorf("--jwt-key %s: it is a key of RSA, ECDSA or Ed25519", c.JWTKey)
		}
	} else {
		secret := bytes.TrimSpace(text)
		if len(secret) < secretLeast {
			return nil, fmt.Errorf("--jwt-key %s: it has no PEM, and a secret has at least %d bytes", c.JWTKey, secretLeast)
		}
		v.key = secret
	}
	options := []jwt.ParserOption{jwt.WithValidMethods([]string{method}), jwt.WithExpirationRequired()}
	if c.JWTAudience != "" {
		options = append(options, jwt.WithAudience(c.JWTAudience))
	}
	if c.JWTIssuer != "" {
		options = append(options, jwt.WithIssuer(c.JWTIssuer))
	}
	v.parser = jwt.NewParser(options...)
	return v, nil
}

// publicKey reads a key, or that of a certificate.
func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	}
	return nil, fmt.Errorf("a %s is no public key", strings.ToLower(block.Type))
}

// judge says who a client is by its token: that of its request, or its first message.
func (v *verifier) judge(c *client, kind string, body []byte) answer {
	text := strings.TrimSpace(string(body))
	if kind == kindRequest {
		text = tokenOf(first(c.secret, "WS-Header-Authorization"), first(c.secret, "WS-Query"))
	}
	refused := answer{verdict: verdictRefused, status: 401, text: "the token does not hold"}
	if text == "" {
		refused.text = "there is no token"
		return refused
	}
	said := &claims{}
	token, err := v.parser.ParseWithClaims(text, said, func(*jwt.Token) (any, error) { return v.key, nil })
	if err != nil {
		return refused
	}
	if _, critical := token.Header["crit"]; critical {
		return refused // it must be understood, and nothing is here (RFC 7515)
	}
	for _, name := range said.Groups {
		if !goodGroup(name) || strings.Contains(name, ",") { // which would be two in Zl-Groups
			return refused
		}
	}
	accepted := answer{status: 200, user: said.Subject, service: said.Service, groups: strings.Join(said.Groups, ","), until: said.ExpiresAt.Time}
	if !accepted.good() {
		return refused
	}
	return accepted
}

func tokenOf(authorization, query string) string {
	if scheme, token, has := strings.Cut(authorization, " "); has && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return values.Get("token")
}
