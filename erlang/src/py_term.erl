%% @doc Payloads: one term in the external term format. Pure.
-module(py_term).

-export([encode/1, encode/2, encode/3, pieces/2, decode/2, words/0]).

-type policy() :: safe | create.
%% Whether a payload may make atoms that this node does not have yet (application setting `create_atoms').
-type payload() :: binary() | erlang:iovec().
-export_type([policy/0, payload/0]).

%% Binaries from this size on are better not copied.
-define(LARGE, 16#4000).
-define(NEAR, 32).

%% @doc The payload of a term. Always in one form, that of OTP 26, which has UTF-8 atoms: a pid is its bytes to Python, and has to be
%% the same ones each time.
-spec encode(term()) -> binary().
encode(Term) ->
    term_to_binary(Term, [{minor_version, 2}]).

%% @doc The payload of a term, unless its frame would exceed the limit.
-spec encode(term(), pos_integer()) -> {ok, binary()} | {error, {limit, binary()}}.
encode(Term, MaxFrame) ->
    encode(Term, MaxFrame, 0).

%% @doc The same for a frame that holds so many bytes besides.
-spec encode(term(), pos_integer(), non_neg_integer()) -> {ok, binary()} | {error, {limit, binary()}}.
encode(Term, MaxFrame, Besides) ->
    within(encode(Term), MaxFrame, Besides).

%% @doc The same as {@link encode/2}, but a large binary that is found near the top of the term stays where it is, and is a piece of the payload.
-spec pieces(term(), pos_integer()) -> {ok, payload()} | {error, {limit, binary()}}.
pieces(Term, MaxFrame) ->
    case find(Term, ?NEAR) of
        found -> within(gather(erlang:term_to_iovec(Term, [{minor_version, 2}]), []), MaxFrame, 0);
        _ -> encode(Term, MaxFrame)
    end.

%% Looks for a large binary in that many values at most: to look everywhere would cost more than to copy.
-spec find(term(), non_neg_integer()) -> found | non_neg_integer().
find(_, 0) -> 0;
find(Binary, _) when is_binary(Binary), byte_size(Binary) >= ?LARGE -> found;
find([Head | Tail], Left) ->
    case find(Head, Left - 1) of
        found -> found;
        Left1 -> find(Tail, Left1)
    end;
find(Tuple, Left) when is_tuple(Tuple), tuple_size(Tuple) =< ?NEAR -> find(tuple_to_list(Tuple), Left - 1);
find(Map, Left) when map_size(Map) =< ?NEAR -> find(maps:values(Map), Left - 1);
find(_, Left) -> Left - 1.

%% Every binary beyond 64 bytes is a piece of its own at first.
-spec gather(erlang:iovec(), erlang:iovec()) -> erlang:iovec().
gather([], []) -> [];
gather([Piece | Pieces], Small) when byte_size(Piece) < ?LARGE -> gather(Pieces, [Piece | Small]);
gather(Pieces, [_ | _] = Small) -> [iolist_to_binary(lists:reverse(Small)) | gather(Pieces, [])];
gather([Piece | Pieces], []) -> [Piece | gather(Pieces, [])].

-spec within(Payload, pos_integer(), non_neg_integer()) -> {ok, Payload} | {error, {limit, binary()}} when Payload :: payload().
within(Payload, MaxFrame, Besides) ->
    case py_frame:length_field(iolist_size(Payload) + Besides) of
        Size when Size =< MaxFrame -> {ok, Payload};
        Size -> {error, limit(Size, MaxFrame)}
    end.

%% @doc The term of a payload. Nothing is ever decompressed: a few bytes could ask for any amount of memory.
-spec decode(binary(), policy()) -> {ok, term()} | {error, {bad_term, binary()}}.
decode(<<131, 80, _/binary>>, _Policy) ->
    {error, {bad_term, <<"a compressed term is not accepted">>}};
decode(Payload, Policy) ->
    try binary_to_term(Payload, [used | options(Policy)]) of
        {Term, Used} when Used =:= byte_size(Payload) -> {ok, Term};
        {_Term, Used} ->
            Extra = integer_to_binary(byte_size(Payload) - Used),
            {error, {bad_term, <<Extra/binary, " bytes too many after the term">>}}
    catch
        error:badarg -> {error, {bad_term, refusal(Policy)}}
    end.

%% @doc The atoms that Python sends for values of its own. Being named here is what makes them known to every node that decodes.
-spec words() -> [atom()].
words() ->
    [true, false, none, nan, infinity, neg_infinity].

-spec limit(pos_integer(), pos_integer()) -> {limit, binary()}.
limit(Size, MaxFrame) ->
    Text = io_lib:format("a frame of ~b bytes is over the limit of ~b (setting max_frame)", [Size, MaxFrame]),
    {limit, iolist_to_binary(Text)}.

-spec options(policy()) -> [safe].
options(safe) -> [safe];
options(create) -> [].

-spec refusal(policy()) -> binary().
refusal(safe) ->
    <<"the term cannot be decoded: it holds an atom that this node does not know (setting create_atoms), "
      "a map with equal keys, or it is malformed">>;
refusal(create) ->
    <<"the term cannot be decoded: it holds a map with equal keys, or it is malformed">>.
