%% @doc Payloads: one term in the external term format. Pure.
-module(py_term).

-export([encode/1, encode/2, encode/3, decode/2, words/0]).

-type policy() :: safe | create.
%% Whether a payload may make atoms that this node does not have yet (application setting `create_atoms').
-export_type([policy/0]).

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
    Payload = encode(Term),
    case py_frame:length_field(byte_size(Payload) + Besides) of
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
