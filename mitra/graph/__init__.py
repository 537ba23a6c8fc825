"""The graph: which customers, devices, addresses and accounts payments have linked, and what is known of them.

A *node* is a type and an id (`device D7`), a *link* goes from one node to another and was made by a payment at its event time.
Answers are as of a moment: of links made strictly before it (so never by the payment that asks) and labels known by it.
Nothing here decides; the job asks over gRPC (`client`), the service answers from one of two stores behind one protocol.
"""
