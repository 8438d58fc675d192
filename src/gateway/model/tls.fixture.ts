/**
 * A self-signed authority for `localhost`, for tests only; its key is no secret and it is trusted nowhere else. Made by
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=ccw-server test"
 * -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:TRUE`.
 */
export const testKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvmY9d/pvx9zYlDtc
q4679RitZirVwbS5iwVVT76+H/ahRANCAAQ+E0d89yd8JugbLety1SOrsky9XH5A
hKZSla8sCVPEAsHibrMREvKAZn57jNZI2z198dmpOnBicQ1F12ztl9LS
-----END PRIVATE KEY-----
`;

export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBoTCCAUegAwIBAgIUVFaJBAUcF3Zp0s+kysVjSOUsXM0wCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPY2N3LXNlcnZlciB0ZXN0MCAXDTI2MTEyMTA5MDQzNloYDzIx
MjYxMDI4MDkwNDM2WjAaMRgwFgYDVQQDDA9jY3ctc2VydmVyIHRlc3QwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAQ+E0d89yd8JugbLety1SOrsky9XH5AhKZSla8s
CVPEAsHibrMREvKAZn57jNZI2z198dmpOnBicQ1F12ztl9LSo2kwZzAdBgNVHQ4E
FgQUgfsgSZ2ggjYBWqnUqPqJvPW8vp0wHwYDVR0jBBgwFoAUgfsgSZ2ggjYBWqnU
qPqJvPW8vp0wFAYDVR0RBA0wC4IJbG9jYWxob3N0MA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSAAwRQIhAOZy/oZGDuRgfhCvVY33P9EFGYzrEPBIqCyTk5AE
8wXeAiAMBfpjHZW3Rpw5Rd9G3RG6P+V7CU82Oh/6d+jRPrPp7w==
-----END CERTIFICATE-----
`;
