'''Routes: one module for each kind of resource, with a `router`.

To add a route, say `GET /indexes/{name}/languages`:

1. Write it in the module of its resource, `routes/indexes.py`::

       @router.get("/indexes/{name}/languages")
       async def list_languages(name: str, services: ServicesOf, caller: CallerOf) -> Any:
           """List the languages of an index's documents."""
           languages = await services.indexes.languages(name, tenant=caller.tenant)
           return {"languages": languages}

   `ServicesOf` gives the parts of the service, `CallerOf` the tenant, in which alone a route may
   read and write. The docstring is the description in OpenAPI. A route is thin: what it does is
   a method of the package below, here of `indexes.service.Indexes`. A JSON body is a pydantic model
   with `extra="forbid"` and an example; the router has `route_class=StrictRoute` for it.
2. A new module is mounted in `server/app.py`, in the list of `create_app`.
3. Errors are raised, not returned: `NotFound("There is no ...", code="index_not_found")`.
   `http/errors.py` gives them their status and the envelope. A new code is entered in
   `config/error_codes`.
4. Describe it in docs/http-api.md with an example of `curl`; a test holds the page to the routes.
5. Test it in `tests/acceptance` against a real server with its `client`, and each way to get it
   wrong as a `Case` in `tests/acceptance/malformed/`; `test_openapi.py` finds it by itself.
'''
