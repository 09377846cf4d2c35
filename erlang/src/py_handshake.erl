%% @doc The first words on a connection (PROTOCOL.md, section 3). Pure.
-module(py_handshake).

-export([hello/1, welcome/2, refused/1]).
-export_type([role/0, token/0, info/0]).

-type token() :: binary().
-type role() :: thread | async | {context, token()} | {host, token()}.
-type info() :: #{os_pid => integer(), thread => integer(), term() => term()}.

-define(VERSION, 1).

%% @doc Who has connected, from the payload of its hello.
-spec hello(binary()) -> {ok, role(), info()} | {refused, binary()}.
hello(Payload) ->
    case py_term:decode(Payload, safe) of
        {ok, Term} -> parse(Term);
        {error, {bad_term, Text}} -> {refused, Text}
    end.

-spec parse(term()) -> {ok, role(), info()} | {refused, binary()}.
parse({erlpy, ?VERSION, Role, Info}) when (Role =:= thread orelse Role =:= async), is_map(Info) ->
    {ok, Role, Info};
parse({erlpy, ?VERSION, {Role, Token}, Info}) when (Role =:= context orelse Role =:= host), is_binary(Token), is_map(Info) ->
    {ok, {Role, Token}, Info};
parse({erlpy, Version, _Role, _Info}) when is_integer(Version), Version =/= ?VERSION ->
    Text = io_lib:format("version ~b of the protocol is not spoken here, only version ~b", [Version, ?VERSION]),
    {refused, iolist_to_binary(Text)};
parse(Other) ->
    {refused, <<"not a hello: ", (py_text:line(Other, 200))/binary>>}.

%% @doc The payload of the node's hello.
-spec welcome(pid(), pos_integer()) -> binary().
welcome(Handler, MaxFrame) ->
    py_term:encode({erlpy, ?VERSION, Handler, #{max_frame => MaxFrame}}).

%% @doc The payload of the error frame that turns a connection down.
-spec refused(binary()) -> binary().
refused(Text) ->
    py_term:encode({refused, Text}).
