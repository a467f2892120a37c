// The page of the API: what /openapi.json describes, to read and to try with a key.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger", deepLinking: true, persistAuthorization: false });
