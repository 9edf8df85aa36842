// Package openvpn is the lab's VPN provider for those who come by OpenVPN: Debian's own program at the provider's end, and what a
// client has to know of it.
package openvpn

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

// authorityKey is the same in every lab: gluetun has its providers' certificates in its program, and so the stand-in has this one's. It
// is no secret, and nothing but a lab trusts it.
var authorityKey = func() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("the lab's VPN provider"))
	return ed25519.NewKeyFromSeed(seed[:])
}()

var authority = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab VPN provider"}, IsCA: true, BasicConstraintsValid: true,
	KeyUsage:  x509.KeyUsageCertSign,
	NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)}

// Authority is the certificate by which the provider's servers are known, as PEM.
func Authority() (string, error) {
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	return pemOf("CERTIFICATE", der), err
}

// server is a new key of a server's, and its certificate, as PEM.
func server() (certificate, key string, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "lab VPN server"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, public, authorityKey)
	if err != nil {
		return "", "", err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	return pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", raw), err
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
