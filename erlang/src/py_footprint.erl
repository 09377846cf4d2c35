%% @doc The heap size of a payload's term, found without decoding it. Pure.
%%
%% A term may take sixteen times the size of its payload. The emulator checks `max_heap_size' only
%% at a garbage collection, after the term has been made.
-module(py_footprint).

-export([fits/2]).

%% Words for one byte, at most: an empty list in a list takes one byte and two words.
-define(MOST, 2).
%% Words for an entry of a large map, and for a binary outside the heap.
-define(ENTRY, 5).
-define(REFERENCE, 8).

%% @doc `true' if the term takes `Max' words at most. For a malformed payload either.
-spec fits(binary(), pos_integer() | infinity) -> boolean().
fits(Payload, Max) when Max =:= infinity; ?MOST * byte_size(Payload) =< Max -> true;
fits(<<131, Term/binary>>, Max) -> words(Term, 0, Max) =< Max;
fits(_Payload, _Max) -> true.

%% The terms of a container follow its tag, one after the other: nesting needs no stack.
-spec words(binary(), non_neg_integer(), pos_integer()) -> non_neg_integer().
words(_, Words, Max) when Words > Max -> Words;
words(<<97, _, Rest/binary>>, Words, Max) -> words(Rest, Words, Max);
words(<<98, _:32, Rest/binary>>, Words, Max) -> words(Rest, Words, Max);
words(<<70, _:64, Rest/binary>>, Words, Max) -> words(Rest, Words + 2, Max);
words(<<110, N, _, _:N/binary, Rest/binary>>, Words, Max) -> words(Rest, Words + heap(N), Max);
words(<<111, N:32, _, _:N/binary, Rest/binary>>, Words, Max) -> words(Rest, Words + heap(N), Max);
words(<<104, N, Rest/binary>>, Words, Max) -> words(Rest, Words + N + 1, Max);
words(<<105, N:32, Rest/binary>>, Words, Max) -> words(Rest, Words + N + 1, Max);
words(<<106, Rest/binary>>, Words, Max) -> words(Rest, Words, Max);
words(<<107, N:16, _:N/binary, Rest/binary>>, Words, Max) -> words(Rest, Words + 2 * N, Max);
words(<<108, N:32, Rest/binary>>, Words, Max) -> words(Rest, Words + 2 * N, Max);
words(<<109, N:32, _:N/binary, Rest/binary>>, Words, Max) -> words(Rest, Words + bytes(N), Max);
words(<<77, N:32, _, _:N/binary, Rest/binary>>, Words, Max) -> words(Rest, Words + ?REFERENCE + heap(min(N, 64)), Max);
words(<<116, N:32, Rest/binary>>, Words, Max) -> words(Rest, Words + ?ENTRY * N + 4, Max);
words(<<118, N:16, _:N/binary, Rest/binary>>, Words, Max) -> words(Rest, Words, Max);
words(<<119, N, _:N/binary, Rest/binary>>, Words, Max) -> words(Rest, Words, Max);
words(<<88, 119, N, _:N/binary, _:12/binary, Rest/binary>>, Words, Max) -> words(Rest, Words + ?REFERENCE, Max);
words(<<90, I:16, 119, N, _:N/binary, _:32, _:I/binary-unit:32, Rest/binary>>, Words, Max) -> words(Rest, Words + ?REFERENCE, Max);
words(Rest, Words, _Max) -> Words + ?MOST * byte_size(Rest).

%% On the heap: a header and the bytes.
-spec heap(non_neg_integer()) -> pos_integer().
heap(N) -> 2 + N div 8.

-spec bytes(non_neg_integer()) -> pos_integer().
bytes(N) when N =< 64 -> 1 + heap(N);
bytes(_N) -> ?REFERENCE.
